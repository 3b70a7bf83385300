import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import td


def test_target_by_hand():
  r, q = jnp.array([1.0, 1.0, 2.0]), jnp.array([10.0, 10.0, 50.0])
  discount = jnp.array([0.9, 0.0, 0.9])
  np.testing.assert_allclose(td.one_step_target(r, discount, q), [10.0, 1.0, 47.0])
  clipped = td.one_step_target(r, discount, q, value_range=(0.0, 20.0))
  np.testing.assert_allclose(clipped, [10.0, 1.0, 20.0])


def test_no_gradient_flows_into_the_target():
  grad = jax.grad(lambda q: td.one_step_target(jnp.float32(0), jnp.float32(1), q))
  assert grad(jnp.float32(3.0)) == 0.0


def test_lambda_returns_by_hand():
  # G_3 = 3 + 0.1 * 30 = 6, whatever lambda_3 says
  # G_2 = 2 + 0.5 * (0.75 * 20 + 0.25 * 6) = 2 + 0.5 * 16.5 = 10.25
  # G_1 = 1 + 0.9 * (0.5 * 10 + 0.5 * 10.25) = 1 + 0.9 * 10.125 = 10.1125
  r, discount = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.9, 0.5, 0.1])
  v = jnp.array([10.0, 20.0, 30.0])
  for last in (0.0, 0.7, 1.0):
    returns = td.lambda_returns(r, discount, v, jnp.array([0.5, 0.25, last]))
    np.testing.assert_allclose(returns, [10.1125, 10.25, 6.0], rtol=1e-6)


def test_lambda_zero_is_the_one_step_target():
  r, discount = jnp.array([1.0, 1.0, 2.0]), jnp.array([0.9, 0.0, 0.9])
  v = jnp.array([10.0, 10.0, 50.0])
  returns = td.lambda_returns(r, discount, v, jnp.zeros(3))
  np.testing.assert_array_equal(returns, td.one_step_target(r, discount, v))


def test_lambda_one_is_the_discounted_sum_with_a_bootstrap():
  # G_3 = 4 + 0.5 * 8 = 8; G_2 = 2 + 0.5 * 8 = 6; G_1 = 1 + 0.5 * 6 = 4. The values
  # of the first two steps do not matter.
  r, discount = jnp.array([1.0, 2.0, 4.0]), jnp.full(3, 0.5)
  v = jnp.array([-7.0, 99.0, 8.0])
  returns = td.lambda_returns(r, discount, v, jnp.ones(3))
  np.testing.assert_array_equal(returns, [4.0, 6.0, 8.0])


def test_termination_ends_the_return():
  r, v = jnp.array([1.0, 2.0, 4.0]), jnp.full(3, 99.0)
  returns = td.lambda_returns(r, jnp.array([0.5, 0.0, 0.5]), v, jnp.ones(3))
  np.testing.assert_array_equal(returns, [2.0, 2.0, 53.5])


def test_cutting_makes_two_windows():
  rng = np.random.default_rng(0)
  r, discount, v, lambda_ = (jnp.array(rng.random(7), jnp.float32) for _ in range(4))
  whole = td.lambda_returns(r, discount, v, lambda_.at[2].set(0))
  for part in (slice(0, 3), slice(3, 7)):
    alone = td.lambda_returns(r[part], discount[part], v[part], lambda_[part])
    np.testing.assert_allclose(whole[part], alone, rtol=1e-6)


def test_lambda_returns_equal_a_loop():
  rng = np.random.default_rng(1)
  r, discount, v, lambda_ = rng.random((4, 5, 9))
  expected = np.zeros((5, 9))
  for b in range(5):
    g = v[b, -1]
    for t in reversed(range(9)):
      mixed = (1 - lambda_[b, t]) * v[b, t] + lambda_[b, t] * g
      g = expected[b, t] = r[b, t] + discount[b, t] * mixed
  arrays = (jnp.array(x, jnp.float32) for x in (r, discount, v, lambda_))
  returns = jax.jit(jax.vmap(td.lambda_returns))(*arrays)
  np.testing.assert_allclose(returns, expected, rtol=1e-5)


def test_no_gradient_flows_into_the_returns():
  half = jnp.full(3, 0.5)
  grad = jax.grad(lambda v: td.lambda_returns(half, half, v, half).sum())(half)
  np.testing.assert_array_equal(grad, np.zeros(3))


def test_n_step_returns_by_hand():
  # Two steps each. The episode ends for good after the third step and another begins.
  # G_4 = 8 (nothing follows: 0 + 0.5 * 16); G_3 = 4 (it ends); G_2 = 2 + 0.5 * 4 = 4;
  # G_1 = 1 + 0.5 (2 + 0.5 * 40) = 12.
  r, discount = jnp.array([1.0, 2.0, 4.0, 0.0]), jnp.array([0.5, 0.5, 0.0, 0.5])
  v = jnp.array([20.0, 40.0, 60.0, 16.0])
  goes_on = jnp.array([True, True, False, True])
  returns = td.n_step_returns(r, discount, v, goes_on, 2)
  np.testing.assert_allclose(returns, [12.0, 4.0, 4.0, 8.0])
  # A cut after the second step: the value there is what follows.
  cut = td.n_step_returns(r, discount, v, goes_on.at[1].set(False), 3)
  np.testing.assert_allclose(cut, [1 + 0.5 * 22, 22.0, 4.0, 8.0])
  one = td.n_step_returns(r, discount, v, goes_on, 1)
  np.testing.assert_array_equal(one, td.one_step_target(r, discount, v))
