"""Numbers as distributions over bins, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops import two_hot


@pytest.mark.parametrize(
  ("x", "y"),
  # sqrt(3 + 1) - 1 = 1, sqrt(8 + 1) - 1 = 2, sqrt(120 + 1) - 1 = 10.
  [(0.0, 0.0), (3.0, 1.003), (-3.0, -1.003), (8.0, 2.008), (120.0, 10.12)],
)
def test_squashed_by_hand(x, y):
  np.testing.assert_allclose(two_hot.squash(jnp.float32(x)), y, rtol=1e-6)
  np.testing.assert_allclose(two_hot.unsquash(jnp.float32(y)), x, rtol=1e-6)


def test_the_inverse_is_one_near_zero_and_far_from_it():
  x = jnp.concatenate([jnp.logspace(-6, 5, 50), -jnp.logspace(-6, 5, 50)])
  np.testing.assert_allclose(two_hot.unsquash(two_hot.squash(x)), x, rtol=1e-5)


def test_shares_by_hand():
  # -1.25 is a quarter of the way from -1 to -2; 9 goes to the last bin.
  got = two_hot.two_hot(jnp.array([-1.25, 0.5, 9.0]), 2)
  wanted = [[0.25, 0.75, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 1]]
  np.testing.assert_allclose(got, wanted)


def test_integers_have_all_their_mass():
  x = jnp.arange(-3.0, 4.0)
  np.testing.assert_array_equal(two_hot.two_hot(x, 3), np.eye(7))


def test_shares_mean_what_they_stand_for():
  x = jnp.linspace(-7.0, 7.0, 29)
  logits = jnp.log(two_hot.encode(x, 3) + 1e-12)
  np.testing.assert_allclose(two_hot.decode(logits), x, rtol=1e-4, atol=1e-4)


def test_the_cross_entropy_is_least_at_the_shares():
  # 3 is squashed to 1.003: shares 0.997 of bin 1 and 0.003 of bin 2.
  x = jnp.float32(3.0)
  entropy = -(0.997 * np.log(0.997) + 0.003 * np.log(0.003))
  right = jnp.log(jnp.array([1e-9, 1e-9, 1e-9, 0.997, 0.003]))
  np.testing.assert_allclose(two_hot.cross_entropy(right, x), entropy, atol=1e-4)
  grad = jax.grad(two_hot.cross_entropy)(right, x)
  np.testing.assert_allclose(grad, jnp.zeros(5), atol=1e-4)
  assert jax.grad(two_hot.cross_entropy, argnums=1)(right, x) == 0.0
