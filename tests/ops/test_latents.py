"""Discrete latents, on numbers that hands can do."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import latents

# Two variables of two classes: odds of 3 to 1 and of 1 to 1.
POSTERIOR = jnp.log(jnp.array([[3.0, 1.0], [1.0, 1.0]]))
PRIOR = jnp.zeros((2, 2))


def test_samples_are_one_hot_and_have_the_probabilities_gradient():
  """d p_1 / d l_1 = p (1 - p) = 3/16, and of the other class -3/16."""

  def first(logits, key):
    sample = latents.draw(logits, key)
    return sample[0], sample

  for seed in range(4):
    grad, sample = jax.grad(first, has_aux=True)(POSTERIOR, jax.random.key(seed))
    assert sample.shape == (4,)
    np.testing.assert_allclose(sample.reshape(2, 2).sum(-1), [1, 1], rtol=1e-6)
    assert set(np.asarray(sample).round(6).tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(grad, [[3 / 16, -3 / 16], [0, 0]], atol=1e-6)
  many = latents.draw(jnp.broadcast_to(POSTERIOR, (4_000, 2, 2)), jax.random.key(9))
  np.testing.assert_allclose(many.mean(0), [0.75, 0.25, 0.5, 0.5], atol=0.03)


def test_modes_are_the_likeliest_classes():
  logits = jnp.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
  np.testing.assert_array_equal(latents.mode(logits), [0, 1, 0, 1, 0, 0])
  grad = jax.grad(lambda x: latents.mode(x)[1])(logits)
  p = np.exp([0, 2, 1]) / np.exp([0, 2, 1]).sum()
  expected = [-p[0] * p[1], p[1] * (1 - p[1]), -p[2] * p[1]]
  np.testing.assert_allclose(grad[0], expected, rtol=1e-5)
  np.testing.assert_array_equal(grad[1], [0, 0, 0])


def test_the_divergence_is_a_mean_over_variables():
  """(3/4 log 3/2 + 1/4 log 1/2 + 0) / 2; 0 where both are the same."""
  expected = (0.75 * np.log(1.5) + 0.25 * np.log(0.5)) / 2
  for balance in (0.0, 0.8, 1.0):
    got = latents.balanced_kl(POSTERIOR, PRIOR, balance)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    same = latents.balanced_kl(POSTERIOR, POSTERIOR, balance)
    np.testing.assert_allclose(same, 0.0, atol=1e-7)


def test_most_of_its_gradient_is_the_priors():
  """Of the prior's logits q - p, (1/2 - 3/4, 1/2 - 1/4) / 2, times 0.8."""
  grad = jax.grad(latents.balanced_kl, (0, 1))
  posterior, prior = grad(POSTERIOR, PRIOR, 0.8)
  np.testing.assert_allclose(prior[0], [-0.1, 0.1], rtol=1e-5)
  only_prior, only_posterior = grad(POSTERIOR, PRIOR, 1.0), grad(POSTERIOR, PRIOR, 0.0)
  np.testing.assert_array_equal(only_prior[0], np.zeros((2, 2)))
  np.testing.assert_array_equal(only_posterior[1], np.zeros((2, 2)))
  # p (log p/q - KL): 3/4 (log 3/2 - KL), of which a half and then a fifth.
  kl = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
  expected = 0.2 * 0.75 * (np.log(1.5) - kl) / 2
  np.testing.assert_allclose(posterior[0], [expected, -expected], rtol=1e-4)
