"""What several uncertainties share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from logo_jax.types import Params, Prediction, Transition, WorldModel

# Where kinds of steps part: quantiles of predicted rewards, and chances of an end.
_REWARDS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
_ENDS = (0.05, 0.5)
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
  less for it. What a step is like is said by the model: how likely the episode ends,
  in three classes, and where that is not likely how large the reward is, in eight.
  """

  edges: Float[Array, " E"]  # between classes of rewards
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
    edges = jnp.quantile(reward, jnp.array(_REWARDS))
    log = jnp.log(jnp.maximum(score, _LEAST))
    mean_all, std_all = log.mean(), log.std()
    num_kinds = len(_REWARDS) + 1 + len(_ENDS)
    is_kind = jax.nn.one_hot(_kind(edges, reward, discount), num_kinds)
    num = is_kind.sum(0) + _PRIOR
    mean = (log @ is_kind + _PRIOR * mean_all) / num
    squares = ((log[:, None] - mean[None]) ** 2 * is_kind).sum(0)
    std = jnp.sqrt((squares + _PRIOR * std_all**2) / num)
    return cls(edges, mean, std, mean_all, std_all)

  def matched(
    self,
    score: Float[Array, "*b"],
    reward: Float[Array, "*b"],
    discount: Float[Array, "*b"],
  ) -> Float[Array, "*b"]:
    """Scores whose logarithm has the same mean and deviation in every kind.

    Within a kind the order stays what it was.
    """
    kind = _kind(self.edges, reward, discount)
    log = jnp.log(jnp.maximum(score, _LEAST))
    z = (log - self.mean[kind]) / jnp.maximum(self.std[kind], _LEAST)
    return jnp.exp(self.mean_all + self.std_all * z)


def _kind(edges: jax.Array, reward: jax.Array, discount: jax.Array) -> Int[Array, "*b"]:
  """The last ones are those of steps after which the episode may end."""
  by_reward = jnp.searchsorted(edges, reward, side="right")
  by_end = jnp.searchsorted(jnp.array(_ENDS), 1.0 - discount, side="right")
  return jnp.where(by_end > 0, len(_REWARDS) + by_end, by_reward)
