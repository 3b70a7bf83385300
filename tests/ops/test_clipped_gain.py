import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import ppo


def test_the_gain_is_clipped_on_the_side_to_which_the_advantage_drives():
  """Ratios 1.5, 1.5, 0.5, 0.5 and 1.1, clipped to [0.8, 1.2] where that is less."""
  ratio = jnp.array([1.5, 1.5, 0.5, 0.5, 1.1])
  advantage = jnp.array([2.0, -2.0, 2.0, -2.0, 1.0])
  old = jnp.log(jnp.full(5, 0.2))
  log_prob = old + jnp.log(ratio)

  def total(x):
    return ppo.clipped_gain(x, old, advantage, 0.2).sum()

  gain = ppo.clipped_gain(log_prob, old, advantage, 0.2)
  np.testing.assert_allclose(gain, [2.4, -3.0, 1.0, -1.6, 1.1], rtol=1e-5)
  # d gain / d log pi = ratio * advantage where it is not clipped.
  slope = jax.grad(total)(log_prob)
  np.testing.assert_allclose(slope, [0.0, -3.0, 1.0, 0.0, 1.1], rtol=1e-5, atol=1e-6)


def test_advantages_are_standardised_by_weight():
  """Values 0 and 4 of weight 3 and 1 have mean 1 and deviation sqrt(3)."""
  advantage = jnp.array([0.0, 4.0, 100.0])
  got = ppo.standardised_advantage(advantage, jnp.array([3.0, 1.0, 0.0]))
  np.testing.assert_allclose(got[:2], [-1 / 3**0.5, 3 / 3**0.5], rtol=1e-5)
