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

  @chex.all_variants
  def test_deviations_by_hand(self):
    # The base is [5.5, -2], as above. Agent 0 moves it by (a - 1) * [1, 0]:
    #   a = 0: [4.5, -2], 2 * 4.5 + 3 (e^-2 - 1) - 1 = 5 + 3 * 0.13533528 = 5.4060058
    #   a = 3: [7.5, -2], 15 + 3 (e^-2 - 1) - 1 = 11.4060058
    # Agent 1 moves it by (a - 2) * [2, 1]:
    #   a = 5: [11.5, 1], 23 + 3 - 1 = 25
    #   a = -1: [-0.5, -5], 2 (e^-0.5 - 1) + 3 (e^-5 - 1) - 1
    #     = 2 * 0.60653066 + 3 * 0.00673795 - 6 = -4.7667248
    value = self.variant(mixing.counterfactual_mix)(
      jnp.array([1.0, 2.0]), jnp.array([[0.0, 3.0], [5.0, -1.0]]), WEIGHTS
    )
    expected = [[5.4060058, 11.4060058], [25.0, -4.7667248]]
    np.testing.assert_allclose(value, expected, rtol=1e-6)

  def test_every_deviation_is_mixed_as_if_alone(self):
    n, a, e = 3, 5, 8
    keys = jax.random.split(jax.random.key(0), 6)
    weights = mixing.MixerWeights(
      w1=jnp.abs(jax.random.normal(keys[0], (n, e))),
      b1=jax.random.normal(keys[1], (e,)),
      w2=jnp.abs(jax.random.normal(keys[2], (e,))),
      b2=jax.random.normal(keys[3], ()),
    )
    q = jax.random.normal(keys[4], (n,))
    alternatives = jax.random.normal(keys[5], (n, a))
    value = mixing.counterfactual_mix(q, alternatives, weights)
    for i in range(n):
      for j in range(a):
        alone = mixing.monotonic_mix(q.at[i].set(alternatives[i, j]), weights)
        np.testing.assert_allclose(value[i, j], alone, rtol=1e-5, atol=1e-5)

  @chex.all_variants
  def test_linear_mix_by_hand(self):
    # 0.5 * 1 + 1 * -2 + 2 * 4 + 3 = 9.5
    value = self.variant(mixing.linear_mix)(
      jnp.array([1.0, -2.0, 4.0]), jnp.array([0.5, 1.0, 2.0]), jnp.float32(3.0)
    )
    np.testing.assert_allclose(value, 9.5)


if __name__ == "__main__":
  absltest.main()
