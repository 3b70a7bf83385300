from absl.testing import absltest, parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import mixing

WEIGHTS = mixing.MixerWeights(
  w1=jnp.array([[1.0, 0.0], [2.0, 1.0]]),
  b1=jnp.array([0.5, -4.0]),
  w2=jnp.array([2.0, 3.0]),
  b2=jnp.float32(-1.0),
)


class MixingTest(parameterized.TestCase):
  @chex.all_variants
  def test_by_hand(self):
    # q W1 + b1 = [1 + 4 + 0.5, 2 - 4] = [5.5, -2]; elu: [5.5, e^-2 - 1]
    value = self.variant(mixing.monotonic_mix)(jnp.array([1.0, 2.0]), WEIGHTS)
    np.testing.assert_allclose(value, 2 * 5.5 + 3 * (np.exp(-2.0) - 1) - 1, rtol=1e-6)

  def test_monotone_in_every_utility(self):
    grad = jax.grad(mixing.monotonic_mix)(jnp.array([1.0, 2.0]), WEIGHTS)
    self.assertTrue((np.asarray(grad) >= 0).all())


if __name__ == "__main__":
  absltest.main()
