import jax.numpy as jnp
import numpy as np

from logo_jax.ops.ranks import pick


def test_every_place_has_its_own_entry():
  x = jnp.arange(24).reshape(2, 3, 4)  # x[i, j, k] = 12 i + 4 j + k
  np.testing.assert_array_equal(
    pick(x, jnp.array([0, 1, 0]), 0), [[0, 1, 2, 3], [16, 17, 18, 19], [8, 9, 10, 11]]
  )
  np.testing.assert_array_equal(
    pick(x, jnp.array([2, 0]), 1), [[8, 9, 10, 11], [12, 13, 14, 15]]
  )
  np.testing.assert_array_equal(
    pick(x, jnp.array([[3, 2, 1], [0, 0, 0]]), 2), [[3, 6, 9], [12, 16, 20]]
  )
