"""An absorbing state of lowest reward where the model is not to be trusted (MOReL).

On the first step whose uncertainty is above a threshold the episode ends (Kidambi et
al., 2020): that row is kept, with discount 0 and the least reward in the data less
kappa, and the rollout is over. The published code cuts the rollout but neither charges
for it nor ends the episode, so that values look past the cut; this is what the paper
says.
"""

import dataclasses

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.types import Statistics, Transition, Weighting


@dataclasses.dataclass(frozen=True)
class Config:
  """When to halt and what it costs."""

  threshold: float = 1.0  # in calibrated units of u, where 1 is "unknown"
  # What halting costs below the least reward, in units of reward. None: as much as
  # returns in the data differ, but at most 100 standard deviations of the reward, the
  # horizon of a discount of 0.99. That is 2 on SMAX, where returns lie between 0 and 2,
  # and about 100 on multi-agent MuJoCo.
  kappa: float | None = None
  # True: the rollout ends before that step instead, costs nothing and is worth behind
  # its end what the value says. For learners of whole rollouts; of rows none is lost.
  bootstrap: bool = False


def make(config: Config, statistics: Statistics) -> Weighting:
  """Builds the weighting.

  Args:
    config: when to halt and what it costs.
    statistics: of the dataset, for the least reward and the default of kappa.

  Raises:
    ValueError: a number is negative.
  """
  ranges.check("weighting.", config, threshold="[0")
  kappa = config.kappa
  if kappa is None:
    low, high = statistics.return_range
    kappa = min(high - low, 100 * float(statistics.reward.std))
  else:
    ranges.check("weighting.", config, kappa="[0")
  last_reward = float(statistics.reward.low) - kappa

  def on_store(t: Transition, u: jax.Array) -> tuple[Transition, jax.Array]:
    halts = u > config.threshold
    reward = jnp.where(halts, last_reward, t.reward)
    discount = jnp.where(halts, 0.0, t.discount)
    if config.bootstrap:
      return t, ~halts
    return t._replace(reward=reward, discount=discount), jnp.ones_like(halts)

  return Weighting(
    on_store=on_store,
    on_sample=lambda t, u: t,
    log_weight=jnp.zeros_like,
    # The least reward may be below all returns in the data.
    return_loss=(
      0.0 if config.bootstrap else kappa - min(float(statistics.reward.low), 0.0)
    ),
  )
