"""Numbers as distributions over bins: values and rewards learned by classification.

Numbers are squashed by h and shared out between the two integers next to them, among
those from -K to K. Pohlen et al., "Observe and look further", 2018; appendix F of
Schrittwieser et al., "Mastering Atari, Go, chess and shogi by planning with a learned
model", 2020.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_SLOPE = 1e-3  # of h far from 0, so that it has an inverse that is smooth enough
_LEAST_SUPPORT = 5  # that of MAZero's published code for SMAC


def squash(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """h(x) = sign(x) (sqrt(|x| + 1) - 1) + 0.001 x."""
  # The root less 1 in a form that loses no digits near 0.
  return x / (jnp.sqrt(jnp.abs(x) + 1.0) + 1.0) + _SLOPE * x


def unsquash(y: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """The inverse of `squash`.

  With u = sqrt(|x| + 1) - 1 it solves 0.001 u^2 + 1.002 u = |y|, and |x| = u (u + 2).
  """
  b, size = 1.0 + 2.0 * _SLOPE, jnp.abs(y)
  u = 2.0 * size / (b + jnp.sqrt(b * b + 4.0 * _SLOPE * size))
  return jnp.sign(y) * u * (u + 2.0)


def support(largest: float) -> int:
  """The K of bins -K to K that numbers of at most this size need."""
  return max(math.ceil(float(squash(jnp.float32(largest)))), _LEAST_SUPPORT)


def two_hot(x: Float[Array, "*b"], largest: int) -> Float[Array, "*b M"]:
  """Shares of the bins -K, ..., K whose mean is `x`; numbers outside go to the last.

  Shares are added, so that those of an integer, all of whose mass is in one bin, sum to
  1 as well; the published code of MAZero writes one after the other and leaves 0.

  Args:
    x: squashed numbers.
    largest: K; there are M = 2 K + 1 bins.
  """
  x = jnp.clip(x, -largest, largest)
  low = jnp.clip(jnp.floor(x), -largest, largest - 1)
  above = (x - low)[..., None]
  index = (low + largest).astype(jnp.int32)
  bins = 2 * largest + 1
  at, next_to = (jax.nn.one_hot(i, bins) for i in (index, index + 1))
  return (1 - above) * at + above * next_to


def encode(x: Float[Array, "*b"], largest: int) -> Float[Array, "*b M"]:
  """The shares that are learned for a number."""
  return two_hot(squash(x), largest)


def decode(logits: Float[Array, "*b M"]) -> Float[Array, "*b"]:
  """The number that a distribution over bins means."""
  largest = logits.shape[-1] // 2
  bins = jnp.arange(-largest, largest + 1, dtype=logits.dtype)
  return unsquash(jax.nn.softmax(logits) @ bins)


def cross_entropy(
  logits: Float[Array, "*b M"], x: Float[Array, "*b"]
) -> Float[Array, "*b"]:
  """Of the distribution that is learned for a number, without gradient into it."""
  wanted = jax.lax.stop_gradient(encode(x, logits.shape[-1] // 2))
  return -(wanted * jax.nn.log_softmax(logits)).sum(-1)
