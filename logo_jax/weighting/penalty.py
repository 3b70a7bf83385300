"""Rewards less a penalty for uncertainty (Eq. 1, LOGO, AAMAS 2026; MOPO, 2020).

r~ = r - lambda max(u - free, 0), formed when a row is drawn; what is stored stays what
the model said, and rows are drawn uniformly. Rewards and uncertainties have no natural
scale: u is in calibrated units, and we count lambda in standard deviations of the
data's rewards per unit of u, so that one value means the same on every task.

As printed (`free=0`) every step pays, however well the model knows it: where rewards
are mostly 0 the mean imagined reward turns negative, and to end early is better than to
live. u = 1 is the edge of held-out data, so that with `free=1` only what lies beyond
it pays.
"""

import dataclasses

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.types import Statistics, Transition, Weighting


@dataclasses.dataclass(frozen=True)
class Config:
  """How much uncertainty costs."""

  # lambda, in standard deviations of the data's rewards per unit of u; the paper gives
  # no value, MOPO's lie between 0.5 and 5.
  coefficient: float = 1.0
  free: float = 1.0  # u up to which nothing is paid, in its units; 0: Eq. 1 as printed


def make(config: Config, statistics: Statistics) -> Weighting:
  """Builds the weighting.

  Args:
    config: how much uncertainty costs.
    statistics: of the dataset, for the unit of rewards.

  Raises:
    ValueError: a number is negative.
  """
  ranges.check("weighting.", config, coefficient="[0", free="[0")
  cost = config.coefficient * statistics.reward.std

  def on_sample(t: Transition, u: jax.Array) -> Transition:
    return t._replace(reward=t.reward - cost * jnp.maximum(u - config.free, 0.0))

  return Weighting(
    on_store=lambda t, u: (t, jnp.ones_like(t.reward, bool)),
    on_sample=on_sample,
    log_weight=jnp.zeros_like,
    return_loss=float("inf"),  # u has no bound
  )
