import jax.numpy as jnp
import numpy as np

from logo_jax.ops import correlation


def test_within_groups_by_hand():
  """Levels of groups do not count, nor what is masked.

  Deviations (-1, 0, 1) and (-1, 1, 0): sums of products 1, of squares 2 and 2. With a
  second group of (-1, 1) and (1, -1), -2 and 2 and 2, weighed by 0.5: (1 - 1) / 3.
  """
  x = jnp.array([[1.0, 2.0, 3.0], [99.0, 101.0, 7.0]])
  y = jnp.array([[-1.0, 1.0, 0.0], [51.0, 49.0, jnp.inf]])
  counted = jnp.array([[True, True, True], [True, True, False]])
  one = correlation.within_groups(x, y, counted, jnp.array([1.0, 0.0]))
  np.testing.assert_allclose(one, 0.5)
  both = correlation.within_groups(x, y, counted, jnp.array([1.0, 0.5]))
  np.testing.assert_allclose(both, 0.0, atol=1e-6)
  alike = correlation.within_groups(x, 3 * x + 5, counted, jnp.ones(2))
  np.testing.assert_allclose(alike, 1.0, rtol=1e-6)
  assert correlation.within_groups(x, 0 * x, counted, jnp.ones(2)) == 0.0
