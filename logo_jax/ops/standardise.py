"""Standardisation with training statistics, and the clipping box of the data."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import numpy as np

from logo_jax.ops.ranks import lift


class Moments(NamedTuple):
  """Per-feature statistics of a training split.

  `scale` is the standard deviation floored by `STD_FLOOR` of the range, so that a bit
  that is set once in 10,000 rows does not become a value of 100; the floor is at most
  `STD_FLOOR` itself, for wide ranges may be due to few rows. It is 1 where a feature is
  constant.
  """

  mean: Float[Array, "*f"]
  std: Float[Array, "*f"]
  scale: Float[Array, "*f"]
  low: Float[Array, "*f"]
  high: Float[Array, "*f"]
  varies: Bool[Array, "*f"]  # False: constant in the training split


STD_FLOOR = 0.05  # of a feature whose range is 1 or more
CONSTANT_STD = 1e-6  # below: the feature does not vary
MAX_INPUT = 5.0  # standard deviations; what is further away looks no further


def moments(x: np.ndarray) -> Moments:
  """Statistics over axis 0 of host data, accumulated in float64.

  Args:
    x: [rows, *features].

  Returns:
    float32 moments of shape [*features].
  """
  mean, std = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
  return from_statistics(mean, std, x.min(0), x.max(0))


def from_statistics(
  mean: np.ndarray, std: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Moments:
  """`Moments` of features whose mean, deviation and range are known."""
  varies = std > CONSTANT_STD
  floor = STD_FLOOR * np.minimum(high - low, 1.0)
  scale = np.where(varies, np.maximum(std, floor), 1.0)
  floats = (jnp.asarray(v, jnp.float32) for v in (mean, std, scale, low, high))
  return Moments(*floats, varies=jnp.asarray(varies))


def standardise(x: Float[Array, "*b"], m: Moments) -> Float[Array, "*b"]:
  """(x - mean) / scale; features last, leading axes broadcast."""
  return (x - lift(m.mean, x.ndim)) / lift(m.scale, x.ndim)


def clipped(x: Float[Array, "*b"], m: Moments) -> Float[Array, "*b"]:
  """Standardised features within `MAX_INPUT`, as networks may read them."""
  return jnp.clip(standardise(x, m), -MAX_INPUT, MAX_INPUT)


def unstandardise(z: Float[Array, "*b"], m: Moments) -> Float[Array, "*b"]:
  """The inverse of `standardise`, clipped to the data's box [low, high].

  Without the box, open-loop rollouts run away (MOMA-PPO, Barde et al., 2023).
  """
  mean, scale, low, high = (lift(v, z.ndim) for v in (m.mean, m.scale, m.low, m.high))
  return jnp.clip(z * scale + mean, low, high)


def varying_mean(x: Float[Array, "*b"], m: Moments) -> Float[Array, ""]:
  """Mean over all axes of `x`, counting only features that vary."""
  num = jnp.maximum(m.varies.sum(), 1).astype(x.dtype)
  per_feature = x.reshape(-1, *m.varies.shape).mean(0)
  return jnp.where(m.varies, per_feature, 0.0).sum() / num
