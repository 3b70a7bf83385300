"""Axes: broadcasting over leading ones that is meant, and says so; picking along one.

Whoever imports us may have JAX refuse it where it is silent
(`jax_numpy_rank_promotion="raise"`).
"""

import jax
import jax.numpy as jnp
import numpy as np


def lift(x: jax.Array | np.ndarray, ndim: int) -> jax.Array:
  """`x` with axes of size 1 in front, so that it has `ndim`; as it is with so many."""
  x = jnp.asarray(x)
  return x.reshape((1,) * (ndim - x.ndim) + x.shape)


def pick(x: jax.Array, index: jax.Array, axis: int) -> jax.Array:
  """Entries of an axis, another one in each place.

  Args:
    x: with K entries along `axis`, and any axes behind those of `index`.
    index: [*b], from 0 to K - 1; `x` has its axes in front, besides `axis`.
    axis: of `x`, at most the number of axes of `index`.

  Returns:
    `x` without `axis`.
  """
  index = jnp.expand_dims(index, axis)
  index = jnp.expand_dims(index, tuple(range(index.ndim, x.ndim)))
  return jnp.take_along_axis(x, index, axis).squeeze(axis)
