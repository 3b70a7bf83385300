"""No weighting: all imagined transitions alike, as they are."""

import dataclasses

import jax.numpy as jnp

from logo_jax.types import Weighting


@dataclasses.dataclass(frozen=True)
class Config:
  """Nothing to choose."""


def make(config: Config) -> Weighting:
  """Builds the identity."""
  del config
  return Weighting(
    on_store=lambda t, u: (t, jnp.ones_like(t.reward, bool)),
    on_sample=lambda t, u: t,
    log_weight=jnp.zeros_like,
  )
