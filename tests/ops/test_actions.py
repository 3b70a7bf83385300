import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import actions

LOGITS = jnp.array([[5.0, 1.0, 0.0], [0.0, 0.0, 9.0]])
LEGAL = jnp.array([[False, True, True], [True, True, False]])


def test_illegal_actions_have_probability_zero():
  probs = actions.distribution(LOGITS, LEGAL).probs
  # First row: sigmoid(1 - 0) on action 1; second row: two equal logits.
  np.testing.assert_allclose(
    probs, [[0.0, 0.7310586, 0.2689414], [0.5, 0.5, 0.0]], rtol=1e-6
  )
  drawn = jax.vmap(lambda k: actions.sample(LOGITS, LEGAL, k))(
    jax.random.split(jax.random.key(0), 500)
  )
  assert set(np.unique(drawn[:, 0])) == {1, 2}
  assert set(np.unique(drawn[:, 1])) == {0, 1}


def test_greedy_is_the_best_legal_action():
  np.testing.assert_array_equal(actions.greedy(LOGITS, LEGAL), [1, 0])


def test_log_prob_by_hand():
  value = actions.log_prob(LOGITS, LEGAL, jnp.array([1, 0]))
  np.testing.assert_allclose(value, np.log([0.7310586, 0.5]), rtol=1e-6)


def test_straight_through_is_one_hot_with_the_gradient_of_the_probabilities():
  values = jnp.array([1.0, 2.0, 4.0])

  def value(logits, hard):
    if hard:
      x = actions.sample_straight_through(logits, LEGAL[0], jax.random.key(3))
      assert jnp.shape(x) == (3,)
      return x @ values
    return actions.distribution(logits, LEGAL[0]).probs @ values

  one_hot = actions.sample_straight_through(LOGITS[0], LEGAL[0], jax.random.key(3))
  np.testing.assert_allclose(np.sort(one_hot), [0.0, 0.0, 1.0], atol=1e-6)
  through, exact = (jax.grad(value)(LOGITS[0], hard) for hard in (True, False))
  np.testing.assert_allclose(through, exact, rtol=1e-5)


def test_empty_rows_are_mended_with_the_likeliest_action():
  legal = jnp.array([[False, False, False], [False, True, False]])
  np.testing.assert_array_equal(
    actions.fill_empty(legal, LOGITS), [[True, False, False], [False, True, False]]
  )


def test_select_and_encode():
  np.testing.assert_array_equal(actions.select(LOGITS, jnp.array([1, 2])), [1.0, 9.0])
  np.testing.assert_array_equal(actions.encode(jnp.array([2]), 3), [[0.0, 0.0, 1.0]])


def test_continuous_actions_are_their_own_encoding():
  action = jnp.array([[[0.5, -1.0, 0.0]]])  # [B, N, A]
  np.testing.assert_array_equal(actions.encode(action, 3), action)


def test_divergence_and_entropy_over_legal_actions():
  """(1/2, 1/2) against (1/4, 3/4): 0.5 log 2 + 0.5 log(2/3); a third is illegal."""
  legal = jnp.array([True, True, False])
  logits, other = jnp.log(jnp.array([[0.5, 0.5, 9.0], [0.25, 0.75, 0.1]]))
  expected = 0.5 * np.log(2.0) + 0.5 * np.log(2 / 3)
  np.testing.assert_allclose(actions.kl(logits, other, legal), expected, rtol=1e-5)
  np.testing.assert_allclose(actions.entropy(logits, legal), np.log(2.0), rtol=1e-6)
  alone = jnp.array([False, True, False])
  assert float(actions.entropy(logits, alone)) == 0.0
  slope = jax.grad(lambda x: actions.kl(x, other, alone) + actions.entropy(x, alone))
  np.testing.assert_array_equal(slope(logits), 0.0)
