"""Advantage-weighted policy optimisation, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import awpo


def test_weights_by_hand():
  # Advantages 1, 3 and 5 of which the last does not count: mean 2, deviation 1, so
  # that they are -1, 1 and 3, and at a temperature of 2 half of that.
  a, counts = jnp.array([[1.0, 3.0, 5.0]]), jnp.array([[1.0, 1.0, 0.0]])
  got = awpo.weights(a, counts, 2.0, 4.0)
  wanted = np.minimum(np.exp([[-0.5, 0.5, 1.5]]), 4.0)
  np.testing.assert_allclose(got, wanted, rtol=1e-5)
  np.testing.assert_allclose(awpo.weights(a, counts, 2.0, 1.5)[0, 1:], [1.5, 1.5])


def test_loss_by_hand():
  # -(0.75 log 0.5 + 0.25 log 0.25); what does not count may be anything.
  log_prob = jnp.log(jnp.array([0.5, 0.25, 0.0]))
  target = jnp.array([0.75, 0.25, 0.0])
  wanted = 0.75 * np.log(2) + 0.25 * np.log(4)
  np.testing.assert_allclose(awpo.loss(log_prob, target), wanted, rtol=1e-6)
  grad = jax.grad(awpo.loss)(log_prob, target)
  np.testing.assert_allclose(grad, [-0.75, -0.25, 0.0])
  assert not jax.grad(awpo.loss, argnums=1)(log_prob, target).any()
