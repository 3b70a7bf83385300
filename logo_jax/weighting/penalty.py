"""Rewards less a penalty for uncertainty (Eq. 1, LOGO, AAMAS 2026; MOPO, 2020).

r~ = r - lambda u, formed when a row is drawn; what is stored stays what the model said,
and rows are drawn uniformly. Rewards and uncertainties have no natural scale: u is in
calibrated units, and we count lambda in standard deviations of the data's rewards per
unit of u, so that one value means the same on every task.
"""

import dataclasses

import jax
import jax.numpy as jnp

from logo_jax import ranges
from logo_jax.types import Statistics, Transition, Weighting


@dataclasses.dataclass(frozen=True)
class Config:
  """How much uncertainty costs."""

  # lambda, in standard deviations of the data's rewards per unit of u; the paper gives
  # no value, MOPO's lie between 0.5 and 5.
  coefficient: float = 1.0


def make(config: Config, statistics: Statistics) -> Weighting:
  """Builds the weighting.

  Args:
    config: how much uncertainty costs.
    statistics: of the dataset, for the unit of rewards.

  Raises:
    ValueError: the coefficient is negative.
  """
  ranges.check("weighting.", config, coefficient="[0")
  cost = config.coefficient * statistics.reward.std

  def on_sample(t: Transition, u: jax.Array) -> Transition:
    return t._replace(reward=t.reward - cost * u)

  return Weighting(
    on_store=lambda t, u: (t, jnp.ones_like(t.reward, bool)),
    on_sample=on_sample,
    log_weight=jnp.zeros_like,
    return_loss=float("inf"),  # u has no bound
  )
