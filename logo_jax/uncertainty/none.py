"""No uncertainty: every imagined transition scores 0."""

import dataclasses

import jax.numpy as jnp

from logo_jax.types import Statistics, Uncertainty


@dataclasses.dataclass(frozen=True)
class Config:
  """Nothing to choose."""


def make(config: Config, statistics: Statistics) -> Uncertainty:
  """Builds the constant score."""
  del config, statistics
  return Uncertainty(
    min_views=1,
    init=lambda model, model_params, held_out, bank, key: (),
    score=lambda params, t, prediction: jnp.zeros_like(t.reward),
    accumulate=lambda so_far, score: score,
    calibrate=lambda params, raw: raw,
  )
