from absl.testing import absltest, parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import cql


class CqlTest(parameterized.TestCase):
  @chex.all_variants
  def test_every_action_once_gives_the_exact_soft_maximum(self):
    # Sampling each of 4 actions once, each with probability 1/4:
    # log(1/4 * sum exp(q) / (1/4)) = log sum exp(q)
    q = jnp.array([0.0, 1.0, 2.0, 3.0])
    value = self.variant(cql.logsumexp_push_down)(q, jnp.full(4, np.log(0.25)))
    np.testing.assert_allclose(value, 3.4401897, rtol=1e-6)

  @chex.all_variants
  def test_one_certain_sample_is_its_value(self):
    value = self.variant(cql.logsumexp_push_down)(jnp.array([7.0]), jnp.zeros(1))
    np.testing.assert_allclose(value, 7.0)

  def test_estimate_approaches_the_soft_maximum(self):
    q = jax.random.normal(jax.random.key(0), (50,)) * 2
    index = jax.random.randint(jax.random.key(1), (20_000,), 0, 50)
    value = cql.logsumexp_push_down(q[index], jnp.full(20_000, -np.log(50.0)))
    np.testing.assert_allclose(value, jax.nn.logsumexp(q), atol=0.05)

  @chex.all_variants
  def test_masked_soft_maximum_by_hand(self):
    # log(2 + 3) = 1.6094379; the illegal 100 does not count
    q = jnp.array([np.log(2.0), 100.0, np.log(3.0)])
    legal = jnp.array([True, False, True])
    value = self.variant(cql.masked_logsumexp)(q, legal)
    np.testing.assert_allclose(value, 1.6094379, rtol=1e-6)

  @parameterized.parameters(100.0, -np.inf, np.inf, np.nan)
  def test_illegal_values_have_no_gradient(self, illegal):
    q = jnp.array([np.log(2.0), illegal, np.log(3.0)])
    grad = jax.grad(cql.masked_logsumexp)(q, jnp.array([True, False, True]))
    np.testing.assert_allclose(grad, [0.4, 0.0, 0.6], rtol=1e-6)

  def test_a_row_without_legal_actions_is_finite(self):
    value, grad = jax.value_and_grad(cql.masked_logsumexp)(
      jnp.array([1.0, 2.0]), jnp.zeros(2, bool)
    )
    self.assertTrue(np.isfinite(value))
    np.testing.assert_array_equal(grad, [0.0, 0.0])

  @chex.all_variants
  def test_invalid_samples_count_as_zero(self):
    # log(2 + exp(0) + 3) = log 6 = 1.7917595, and without valid ones log 3 = 1.0986123
    q = jnp.array([np.log(2.0), 50.0, np.log(3.0)])
    fn = self.variant(cql.zeroed_logsumexp)
    value = fn(q, jnp.array([True, False, True]))
    np.testing.assert_allclose(value, 1.7917595, rtol=1e-6)
    np.testing.assert_allclose(fn(q, jnp.zeros(3, bool)), 1.0986123, rtol=1e-6)

  def test_invalid_samples_have_no_gradient(self):
    q = jnp.array([np.log(2.0), np.inf, np.log(3.0)])
    grad = jax.grad(cql.zeroed_logsumexp)(q, jnp.array([True, False, True]))
    np.testing.assert_allclose(grad, [2 / 6, 0.0, 3 / 6], rtol=1e-6)

  @parameterized.parameters(
    (2.0, [4 / 14, 1 / 14, 9 / 14]),  # exp(2 log 2), exp(0), exp(2 log 3)
    (0.0, [1 / 3, 1 / 3, 1 / 3]),
    (100.0, [0.0, 0.0, 1.0]),  # (2/3)^100 = 2e-18
  )
  def test_counterfactual_weights_by_hand(self, temperature, expected):
    kl = jnp.array([np.log(2.0), 0.0, np.log(3.0)])
    weights = cql.counterfactual_weights(kl, temperature)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-12)

  def test_no_gradient_flows_into_the_weights(self):
    grad = jax.grad(lambda kl: cql.counterfactual_weights(kl, 1.0)[0])(jnp.arange(3.0))
    np.testing.assert_array_equal(grad, np.zeros(3))

  @chex.all_variants
  def test_masked_kl_by_hand(self):
    # With a floor of 0.25: (1, 0.5) against (0.5, 1),
    # 1 * log 2 + 0.5 * log 0.5 = 0.5 log 2 = 0.3465736
    log_mu = jnp.log(jnp.array([0.75, 0.25, 0.0]))
    log_beta = jnp.log(jnp.array([0.25, 0.75, 0.5]))
    legal = jnp.array([True, True, False])
    value = self.variant(cql.masked_kl)(log_mu, log_beta, legal, 0.25)
    np.testing.assert_allclose(value, 0.3465736, rtol=1e-6)

  def test_the_default_floor_by_hand(self):
    # 1.00001 * log(1.00001 / 0.50001) = 1.00001 * 0.6931372 = 0.6931441
    # 0.00001 * log(0.00001 / 0.50001) = 0.00001 * -10.8198 = -0.0001082
    log_mu, log_beta = jnp.log(jnp.array([1.0, 0.0])), jnp.log(jnp.array([0.5, 0.5]))
    value, grad = jax.value_and_grad(cql.masked_kl)(log_mu, log_beta, jnp.ones(2, bool))
    np.testing.assert_allclose(value, 0.6930359, rtol=1e-6)
    self.assertTrue(np.isfinite(grad).all())

  def test_equal_laws_do_not_diverge(self):
    log_p = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    self.assertEqual(cql.masked_kl(log_p, log_p, jnp.ones(3, bool)), 0.0)


if __name__ == "__main__":
  absltest.main()
