from absl.testing import absltest, parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import gaussian


class GaussianTest(parameterized.TestCase):
  @chex.all_variants
  def test_negative_log_likelihood_by_hand(self):
    nll = self.variant(gaussian.negative_log_likelihood)
    # 0.5 * ((3 - 1)^2 / 4 + log 4) = 0.5 + log 2
    value = nll(jnp.float32(3.0), jnp.float32(1.0), jnp.float32(np.log(4.0)))
    np.testing.assert_allclose(value, 0.5 + np.log(2.0), rtol=1e-6)

  @chex.all_variants
  def test_log_var_is_bounded_and_monotone(self):
    raw = jnp.array([-1e4, -20.0, -5.0, 0.0, 5.0, 1e4])
    bounded = self.variant(gaussian.bound_log_var)(raw)
    self.assertTrue((np.diff(bounded) >= 0).all())
    np.testing.assert_allclose(bounded[0], -10.0, atol=1e-4)
    np.testing.assert_allclose(bounded[-1], 0.5, atol=1e-4)
    # high - softplus(high - 0) = 0.5 - log(1 + e^0.5), far above the lower bound
    np.testing.assert_allclose(bounded[3], 0.5 - np.log1p(np.exp(0.5)), atol=1e-4)

  def test_gradient_is_finite_far_outside_the_bounds(self):
    grad = jax.grad(lambda x: gaussian.bound_log_var(x))
    self.assertTrue(np.isfinite(grad(jnp.float32(-1e4))))
    self.assertTrue(np.isfinite(grad(jnp.float32(1e4))))


if __name__ == "__main__":
  absltest.main()


def test_divergence_and_entropy():
  """KL(N(1, 4) || N(0, 1)) = (4 + 1 - 1 - log 4) / 2, over one of two dimensions."""
  mean, log_var = jnp.array([1.0, 0.0]), jnp.array([jnp.log(4.0), 0.0])
  zeros = jnp.zeros(2)
  got = gaussian.kl(mean, log_var, zeros, zeros)
  np.testing.assert_allclose(got, (4.0 - np.log(4.0)) / 2, rtol=1e-6)
  # 0.5 log(2 pi e var) each.
  expected = np.log(2 * np.pi * np.e) + 0.5 * np.log(4.0)
  np.testing.assert_allclose(gaussian.entropy(log_var), expected, rtol=1e-6)
