"""Squashed normals, against numbers worked out by hand and an integral."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops import tanh_normal


def test_log_prob_by_hand():
  # atanh(0.6) = log(4) / 2 = 0.693147; with mean 0.193147 and deviation 0.5 that is one
  # deviation away. log N = -1/2 - log(0.5) - log(2 pi) / 2 = -0.725791; minus
  # log(1 - 0.36) = -0.446287 makes -0.279504.
  action, mean = jnp.array([[0.6]]), jnp.array([[0.193147]])
  log_var = jnp.full((1, 1), 2 * np.log(0.5))
  np.testing.assert_allclose(
    tanh_normal.log_prob(action, mean, log_var), [-0.279504], atol=1e-5
  )
  twice = [jnp.tile(x, (1, 2)) for x in (action, mean, log_var)]
  np.testing.assert_allclose(tanh_normal.log_prob(*twice), [-0.559008], atol=1e-5)


def test_density_integrates_to_one():
  grid = jnp.linspace(-0.9999, 0.9999, 20_001)[:, None]
  mean, log_var = jnp.full_like(grid, 0.3), jnp.full_like(grid, -0.5)
  density = np.exp(tanh_normal.log_prob(grid, mean, log_var))
  assert np.trapezoid(density, grid[:, 0]) == pytest.approx(1.0, abs=1e-3)


def test_samples_follow_the_density():
  mean, log_var = jnp.full((20_000, 1), 0.3), jnp.full((20_000, 1), -0.5)
  action = tanh_normal.sample(mean, log_var, jax.random.key(0))
  assert float(jnp.abs(action).max()) <= 1
  grid = jnp.linspace(-0.9999, 0.9999, 20_001)[:, None]
  density = np.exp(tanh_normal.log_prob(grid, mean[:1], log_var[:1]))
  expected = np.trapezoid(density * grid[:, 0], grid[:, 0])
  assert float(action.mean()) == pytest.approx(expected, abs=0.01)
  np.testing.assert_allclose(tanh_normal.mode(mean[:1]), [[np.tanh(0.3)]], rtol=1e-6)


def test_the_border_is_finite():
  action, mean = jnp.array([[1.0], [-1.0]]), jnp.zeros((2, 1))

  def loss(m):
    return tanh_normal.log_prob(action, m, jnp.zeros((2, 1))).sum()

  assert np.isfinite(loss(mean))
  assert np.isfinite(jax.grad(loss)(mean)).all()
