"""Broadcasting over leading axes that is meant, and says so.

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
