"""Zeroth-order search for a good action (OMAR, Pan et al., ICML 2022)."""

from collections.abc import Callable
import dataclasses
from typing import Literal

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_INITIAL_STD = 2.0  # in action units; about six draws in ten land on the box's border


@dataclasses.dataclass(frozen=True)
class SearchConfig:
  """The search of the published code on HalfCheetah.

  On the particle environments it is SearchConfig("softmax", 3, 10), the update that the
  paper describes. `num_elites` means nothing to it.
  """

  update: Literal["elites", "softmax"] = "elites"
  iterations: int = 2  # J, >= 1
  num_samples: int = 20  # K, draws per iteration
  num_elites: int = 5  # E, at most K and at least 2, for an unbiased deviation

  def __post_init__(self):
    if self.update not in ("elites", "softmax"):
      raise ValueError(f"update is {self.update!r}: expected 'elites' or 'softmax'")
    for name in ("iterations", "num_samples"):
      if getattr(self, name) < 1:
        raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
    if self.update == "elites" and not 2 <= self.num_elites <= self.num_samples:
      raise ValueError(
        f"num_elites is {self.num_elites}: expected 2 to num_samples"
        f" = {self.num_samples}"
      )


def soft_update(
  action: Float[Array, "K A"], score: Float[Array, " K"]
) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
  """Mean weighed by softmax(score), and the deviation of all draws from it.

  mean' = sum_k softmax(score)_k a_k and std' = sqrt((1/K) sum_k (a_k - mean')^2), the
  update of OMAR's paper at inverse temperature 1; the deviation is not weighed.

  Args:
    action: [K, A] draws of one iteration.
    score: [K] their values.

  Returns:
    The next mean and deviation, [A] each.
  """
  chex.assert_rank([action, score], [2, 1])
  chex.assert_equal_shape_prefix([action, score], 1)
  mean = jax.nn.softmax(score) @ action
  return mean, jnp.sqrt(jnp.mean(jnp.square(action - mean[None]), axis=0))


def elite_update(
  action: Float[Array, "P A"], score: Float[Array, " P"], num_elites: int
) -> tuple[
  tuple[Float[Array, " A"], Float[Array, " A"]],
  tuple[Float[Array, "E A"], Float[Array, " E"]],
]:
  """Mean and unbiased deviation of the best few, the cross-entropy method.

  Args:
    action: [P, A] the pool: this iteration's draws and the elites of the last one.
    score: [P] their values.
    num_elites: E, from 2 to P.

  Returns:
    The next mean and deviation, [A] each; and the elites, [E, A] with scores [E], best
    first.
  """
  chex.assert_rank([action, score], [2, 1])
  chex.assert_equal_shape_prefix([action, score], 1)
  elite_score, index = jax.lax.top_k(score, num_elites)
  elites = action[index]
  return (elites.mean(0), elites.std(0, ddof=1)), (elites, elite_score)


def search(
  score_fn: Callable[[Float[Array, "K A"]], Float[Array, " K"]],
  key: jax.Array,
  config: SearchConfig,
  action_dim: int,
) -> tuple[Float[Array, " A"], Float[Array, ""]]:
  """Searches the box [-1, 1]^A for an action of high score, for one state and agent.

  Each iteration draws from N(mean, std^2), clips to the box, and moves mean and std to
  the better draws; from the second on, "elites" keeps the last elites in the pool. The
  iterations are unrolled, as they are few. No gradient flows into the result.

  Args:
    score_fn: values [K] of actions [K, A], each scored on its own.
    key: of the draws.
    config: see `SearchConfig`.
    action_dim: A.

  Returns:
    The best member of the last pool, [A], and its score.
  """
  mean, std = jnp.zeros(action_dim), jnp.full(action_dim, _INITIAL_STD)
  elites, elite_score = jnp.zeros((0, action_dim)), jnp.zeros(0)
  for i in range(config.iterations):
    noise = jax.random.normal(
      jax.random.fold_in(key, i), (config.num_samples, action_dim)
    )
    pool = jnp.clip(mean[None] + std[None] * noise, -1.0, 1.0)
    score = jax.lax.stop_gradient(score_fn(pool))
    chex.assert_shape(score, (config.num_samples,))
    if config.update == "softmax":
      mean, std = soft_update(pool, score)
    else:
      pool = jnp.concatenate([pool, elites])
      score = jnp.concatenate([score, elite_score])
      (mean, std), (elites, elite_score) = elite_update(pool, score, config.num_elites)
  best = jnp.argmax(score)
  return pool[best], score[best]
