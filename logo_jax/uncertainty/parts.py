"""What several uncertainties share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from logo_jax.types import Params, Prediction, Transition, WorldModel

# Of the distance of predicted rewards from their median: where kinds of steps part.
_PARTS = (0.5, 0.9, 0.99)
_PRIOR = 5.0  # held-out rows as which all of them count in the moments of a kind
_LEAST = 1e-8  # score

# Along a rollout, (score so far, score of the step) -> score that is stored.
ACCUMULATE = {
  "step": lambda so_far, score: score,
  "cummax": jnp.maximum,
  "cumsum": jnp.add,
}

# Scores of several agents, or groups of features, to one; of the last axis.
REDUCE = {
  "max": lambda score: score.max(-1),
  "mean": lambda score: score.mean(-1),
  "min": lambda score: score.min(-1),
}


def predict(
  model: WorldModel, model_params: Params, t: Transition, key: jax.Array
) -> Prediction:
  """What the model says of recorded steps."""
  k_start, k_step = jax.random.split(key)
  latent = model.start(model_params, t, k_start)
  return model.step(model_params, latent, t.action, k_step)[1]


class Kinds(NamedTuple):
  """How scores are on held-out steps of each kind K, and on all of them.

  Where much happens, views are further apart than where nothing does, without knowing
  less for it. What a step is like is said by the model: whether the episode ends, or
  else by how much the reward differs from the usual one, in four classes.
  """

  usual: Float[Array, ""]  # reward
  edges: Float[Array, " E"]  # between classes, of the distance from it
  mean: Float[Array, " K"]  # of log scores
  std: Float[Array, " K"]
  mean_all: Float[Array, ""]
  std_all: Float[Array, ""]

  @classmethod
  def fit(
    cls,
    score: Float[Array, " C"],
    reward: Float[Array, " C"],
    discount: Float[Array, " C"],
  ) -> "Kinds":
    """From scores of held-out steps, and what the model predicts of them."""
    usual = jnp.median(reward)
    edges = jnp.quantile(jnp.abs(reward - usual), jnp.array(_PARTS))
    log = jnp.log(jnp.maximum(score, _LEAST))
    mean_all, std_all = log.mean(), log.std()
    is_kind = jax.nn.one_hot(_kind(usual, edges, reward, discount), len(_PARTS) + 2)
    num = is_kind.sum(0) + _PRIOR
    mean = (log @ is_kind + _PRIOR * mean_all) / num
    squares = ((log[:, None] - mean) ** 2 * is_kind).sum(0)
    std = jnp.sqrt((squares + _PRIOR * std_all**2) / num)
    return cls(usual, edges, mean, std, mean_all, std_all)

  def matched(
    self,
    score: Float[Array, "*b"],
    reward: Float[Array, "*b"],
    discount: Float[Array, "*b"],
  ) -> Float[Array, "*b"]:
    """Scores whose logarithm has the same mean and deviation in every kind.

    Within a kind the order stays what it was.
    """
    kind = _kind(self.usual, self.edges, reward, discount)
    log = jnp.log(jnp.maximum(score, _LEAST))
    z = (log - self.mean[kind]) / jnp.maximum(self.std[kind], _LEAST)
    return jnp.exp(self.mean_all + self.std_all * z)


def _kind(
  usual: jax.Array, edges: jax.Array, reward: jax.Array, discount: jax.Array
) -> Int[Array, "*b"]:
  """The last one is that of steps after which the episode more likely ends."""
  by_reward = jnp.searchsorted(edges, jnp.abs(reward - usual), side="right")
  return jnp.where(discount > 0.5, by_reward, len(_PARTS) + 1)
