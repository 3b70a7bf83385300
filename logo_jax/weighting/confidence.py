"""Sampling in proportion to confidence (Section 4.3 and Eq. 7, LOGO, AAMAS 2026).

P_u = clip(C - u, 0, C) and w = exp(P_u) / sum exp(P_u). The weight is a sampling law
only; multiplying it onto the Bellman target, as Eq. 9 is printed, would rescale the
values. C is threshold, temperature and floor at once, since no row ever weighs less
than exp(-C / temperature) of the best; the temperature, an addition of ours, parts the
first from the other two.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.checks import ranges
from logo_jax.types import Statistics, Weighting


@dataclasses.dataclass(frozen=True)
class Config:
  """The constants of P_u; the paper gives no value."""

  clip: float = 5.0  # C, in calibrated units of u (1 = 95% quantile of held-out data)
  # w ~ exp(P_u / temperature). At 1, as printed, calibrated u is so narrow that weights
  # differ little (effective sample size 0.96 on smax/2s3z/medium-replay; at 0.2, 0.5).
  temperature: float = 0.2


def confidence(u: Float[Array, "*b"], clip: float) -> Float[Array, "*b"]:
  """P_u = clip(C - u, 0, C), in [0, C]: C at no uncertainty, 0 from u = C on."""
  return jnp.clip(clip - u, 0.0, clip)


def make(config: Config, statistics: Statistics) -> Weighting:
  """Builds the weighting.

  Raises:
    ValueError: a constant is not positive.
  """
  del statistics
  ranges.check("weighting.", config, clip="(0", temperature="(0")

  def log_weight(u: jax.Array) -> jax.Array:
    return confidence(u, config.clip) / config.temperature

  return Weighting(
    on_store=lambda t, u: (t, jnp.ones_like(t.reward, bool)),
    on_sample=lambda t, u: t,
    log_weight=log_weight,
  )
