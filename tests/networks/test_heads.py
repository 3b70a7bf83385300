"""Heads: what they sample, and that densities and costs are those of the samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.networks import heads

MANY = 20_000
LEGAL = jnp.array([[True, False, True], [True, True, True]])  # two agents


def _many(fn):
  return jax.vmap(fn)(jax.random.split(jax.random.key(0), MANY))


def test_categorical():
  logits = jnp.log(jnp.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]))
  head = heads.categorical(3)
  action, log_prob = _many(lambda k: head.sample(logits, LEGAL, k))
  # Without the illegal action 0.2 and 0.3 are 0.4 and 0.6.
  expected = np.array([[0.4, 0.0, 0.6], [0.1, 0.2, 0.7]])
  share = np.stack([(action == a).mean(0) for a in range(3)], -1)
  np.testing.assert_allclose(share, expected, atol=0.015)
  chosen = expected[np.arange(2), action]
  np.testing.assert_allclose(log_prob, np.log(chosen), rtol=1e-4)
  assert head.mode(logits, LEGAL).tolist() == [2, 2]
  cost = head.imitation(logits, LEGAL, jnp.array([0, 1]))
  np.testing.assert_allclose(cost, [-np.log(0.4), -np.log(0.2)], rtol=1e-5)


def test_epsilon_greedy():
  values = jnp.array([[1.0, 9.0, 2.0], [3.0, 1.0, 2.0]])
  head = heads.epsilon_greedy(3, 0.3)
  action, log_prob = _many(lambda k: head.sample(values, LEGAL, k))
  # Two legal actions share 0.3 in halves, three in thirds; the best has the rest too.
  expected = np.array([[0.15, 0.0, 0.85], [0.8, 0.1, 0.1]])
  share = np.stack([(action == a).mean(0) for a in range(3)], -1)
  np.testing.assert_allclose(share, expected, atol=0.015)
  np.testing.assert_allclose(
    log_prob, np.log(expected[np.arange(2), action]), rtol=1e-4
  )


@pytest.mark.parametrize("head", [heads.categorical(3), heads.epsilon_greedy(3, 0.1)])
def test_uniform_over_what_is_legal(head):
  action, log_prob = _many(lambda k: head.uniform(LEGAL, k))
  share = np.stack([(action == a).mean(0) for a in range(3)], -1)
  np.testing.assert_allclose(share, [[0.5, 0, 0.5], [1 / 3] * 3], atol=0.015)
  np.testing.assert_allclose(log_prob[0], np.log([0.5, 1 / 3]), rtol=1e-5)


def test_deterministic():
  outputs = jnp.array([[0.0, jnp.arctanh(0.95)]])  # one agent, two dimensions
  legal = jnp.ones((1, 2), bool)
  head = heads.deterministic(2, 0.2)
  action, log_prob = _many(lambda k: head.sample(outputs, legal, k))
  np.testing.assert_allclose(head.mode(outputs, legal), [[0.0, 0.95]], atol=1e-6)
  assert (np.abs(action) <= 1).all()
  assert float(action[..., 0].std()) == pytest.approx(0.2, abs=0.01)
  # The density is that of the noise before it is clipped: on average that of a normal,
  # -log(0.2 sqrt(2 pi)) - 1/2 per dimension.
  mean = 2 * (-np.log(0.2 * np.sqrt(2 * np.pi)) - 0.5)
  assert float(log_prob.mean()) == pytest.approx(mean, abs=0.05)
  # (0.1^2 + 0.05^2) / 2
  cost = head.imitation(outputs, legal, jnp.array([[0.1, 0.9]]))
  np.testing.assert_allclose(cost, [0.00625], rtol=1e-4)
  uniform, density = head.uniform(legal, jax.random.key(1))
  assert (np.abs(uniform) <= 1).all()
  np.testing.assert_allclose(density, [np.log(0.25)], rtol=1e-6)


def test_gradients_flow_through_what_ascends():
  logits = jnp.array([[0.1, 0.2, 0.3]])
  legal = jnp.ones((1, 3), bool)
  worth = jnp.array([0.0, 1.0, 2.0])

  def value(outputs, head):
    return (head.ascend(outputs, legal, jax.random.key(2)) * worth).sum()

  slope = jax.grad(value)(logits, heads.categorical(3))
  p = np.asarray(jax.nn.softmax(logits))
  # d/dlogits of sum_a p_a worth_a
  np.testing.assert_allclose(slope, p * (worth - (p * worth).sum()), rtol=1e-5)
  slope = jax.grad(value)(logits, heads.deterministic(3, 0.1))
  np.testing.assert_allclose(slope, worth * (1 - np.tanh(logits) ** 2), rtol=1e-5)
  normal = jnp.zeros((1, 6))
  assert (jax.grad(value)(normal, heads.squashed_normal(3))[:, 1:3] != 0).all()
