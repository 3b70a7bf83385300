import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import expectile


def test_expectile_loss_by_hand():
  # 0.7 * 2^2, 0.3 * 1^2, 0; slopes 2 * 0.7 * 2, 2 * 0.3 * -1, 0
  error = jnp.array([2.0, -1.0, 0.0])
  np.testing.assert_allclose(
    expectile.expectile_loss(error, 0.7), [2.8, 0.3, 0.0], rtol=1e-6
  )
  grad = jax.grad(lambda e: expectile.expectile_loss(e, 0.7).sum())(error)
  np.testing.assert_allclose(grad, [2.8, -0.6, 0.0], rtol=1e-6)


def test_the_expectile_is_the_minimum():
  # Of the values 0 and 1 at tau = 0.9: 0.9 (1 - v) = 0.1 v, so v = 0.9
  def loss(v):
    return expectile.expectile_loss(jnp.array([0.0, 1.0]) - v, 0.9).mean()

  np.testing.assert_allclose(jax.grad(loss)(jnp.float32(0.9)), 0.0, atol=1e-6)
  assert jax.grad(loss)(jnp.float32(0.8)) < 0 < jax.grad(loss)(jnp.float32(1.0))


def test_clipped_exponential_by_hand():
  z = jnp.array([0.0, np.log(3.0), 50.0, -50.0])
  # e^10 = 22026.466, e^-10 = 4.539993e-5
  np.testing.assert_allclose(
    expectile.clipped_exponential(z), [1.0, 3.0, 22026.466, 4.539993e-5], rtol=1e-5
  )
  # e^1 = 2.7182818, e^-1 = 0.3678794
  np.testing.assert_allclose(
    expectile.clipped_exponential(z, 1.0),
    [1.0, 2.7182818, 2.7182818, 0.3678794],
    rtol=1e-6,
  )
  grad = jax.grad(lambda z: expectile.clipped_exponential(z).sum())(z)
  np.testing.assert_allclose(grad, [1.0, 3.0, 0.0, 0.0], rtol=1e-6)


def test_implicit_value_loss_by_hand():
  # exp(log 2 - log 4) + 3 / 4 = 1.25; exp(0 - log 4) - 2 / 4 = -0.25
  z, v = jnp.array([np.log(2.0), 0.0]), jnp.array([3.0, -2.0])
  loss = expectile.implicit_value_loss(z, v, jnp.float32(np.log(4.0)))
  np.testing.assert_allclose(loss, [1.25, -0.25], rtol=1e-6)
  # The least z_max: exp(-2 + 1) + 1 * e = 0.3678794 + 2.7182818 = 3.0861612
  loss = expectile.implicit_value_loss(
    jnp.float32(-2.0), jnp.float32(1.0), jnp.float32(-1.0)
  )
  np.testing.assert_allclose(loss, 3.0861612, rtol=1e-6)


def _slope(q, value):
  """d/dV of the mean loss with w / alpha = 1 / 2."""

  def loss(value):
    z = jnp.clip((q - value) / 2, -10.0, 10.0)
    z_max = jnp.maximum(-1.0, z.max())
    return expectile.implicit_value_loss(z, value / 2, z_max).mean()

  return jax.grad(loss)(jnp.float32(value))


def test_the_minimum_normalises_the_weights():
  # exp((q - 0) / 2) is 0.5 and 1.5, 1 on average, so the slope at V = 0 is 0. At
  # another V it is not; nor is it 0 at the mean of q, log(0.75) = -0.2876821.
  q = 2 * jnp.log(jnp.array([0.5, 1.5]))
  np.testing.assert_allclose(_slope(q, 0.0), 0.0, atol=1e-6)
  assert _slope(q, -0.2876821) < -0.01 < 0.01 < _slope(q, 0.3)


def test_slope_by_hand():
  # z = z_max = log 3: 1/2 * (1 - 3) / 3 = -1/3
  np.testing.assert_allclose(_slope(2 * jnp.log(jnp.array([3.0])), 0.0), -1 / 3, 1e-6)
  # z is clipped from -20 to -10 and z_max is -1: only 1/2 * e = 1.3591409 is left
  np.testing.assert_allclose(_slope(jnp.array([-40.0]), 0.0), 1.3591409, rtol=1e-6)
