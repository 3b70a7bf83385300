import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops import cem

MPE = cem.SearchConfig("softmax", 3, 10)
TARGET = jnp.array([0.3, -0.6])


def _score(action, target=TARGET):
  return -200 * jnp.square(action - jnp.broadcast_to(target, action.shape)).sum(-1)


def test_soft_update_by_hand():
  # Weights 1/4 and 3/4. First dimension: mean 3/4, sqrt((0.5625 + 0.0625) / 2)
  # = sqrt(0.3125) = 0.5590170; second: -1/4 + 3/4 = 1/2, sqrt((2.25 + 0.25) / 2)
  # = sqrt(1.25) = 1.1180340.
  action = jnp.array([[0.0, -1.0], [1.0, 1.0]])
  mean, std = cem.soft_update(action, jnp.array([5.0, 5.0 + np.log(3.0)]))
  np.testing.assert_allclose(mean, [0.75, 0.5], rtol=1e-6)
  np.testing.assert_allclose(std, [0.5590170, 1.1180340], rtol=1e-6)


def test_elite_update_by_hand():
  # The best two are 1 and 0.5: mean 0.75, sqrt((0.25^2 + 0.25^2) / (2 - 1))
  # = sqrt(0.125) = 0.3535534.
  action = jnp.array([[0.0], [1.0], [0.5], [-1.0]])
  (mean, std), (elites, score) = cem.elite_update(
    action, jnp.array([1.0, 3.0, 2.0, -jnp.inf]), 2
  )
  np.testing.assert_allclose(mean, [0.75])
  np.testing.assert_allclose(std, [0.3535534], rtol=1e-6)
  np.testing.assert_array_equal(elites, [[1.0], [0.5]])
  np.testing.assert_array_equal(score, [3.0, 2.0])


@pytest.mark.parametrize(
  "config",
  # The unweighed deviation hardly shrinks, so that "softmax" lives by its many draws.
  [cem.SearchConfig("elites", 8, 64, 8), cem.SearchConfig("softmax", 3, 2000)],
)
def test_finds_the_maximum_of_a_concave_quadratic(config):
  action, score = cem.search(_score, jax.random.key(0), config, 2)
  np.testing.assert_allclose(action, TARGET, atol=0.05)
  np.testing.assert_allclose(score, _score(action), rtol=1e-5)


@pytest.mark.parametrize("config", [cem.SearchConfig(), MPE])
def test_stays_in_the_box(config):
  # The maximum lies outside; as most first draws are clipped, its corner is found.
  score = functools.partial(_score, target=jnp.array([9.0, -9.0]))
  action, _ = cem.search(score, jax.random.key(1), config, 2)
  np.testing.assert_array_equal(action, [1.0, -1.0])


def _best(config, seeds=32):
  keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
  return np.asarray(jax.vmap(lambda k: cem.search(_score, k, config, 2)[1])(keys))


def test_elites_are_never_lost():
  # An iteration draws the same noise however many follow.
  one, two, three = (_best(cem.SearchConfig(iterations=j)) for j in (1, 2, 3))
  assert (one <= two).all() and (two <= three).all()
  assert (two < three).any()


def test_softmax_keeps_the_last_draws_only():
  two, three = (_best(cem.SearchConfig("softmax", j, 10)) for j in (2, 3))
  assert (three < two).any() and three.mean() > two.mean()


@pytest.mark.parametrize("config", [cem.SearchConfig(), MPE])
def test_each_state_of_a_batch_has_its_own_search(config):
  targets = jnp.array([[0.8, 0.0], [-0.8, 0.5]])
  keys = jax.random.split(jax.random.key(2), 2)

  def one(target, key):
    return cem.search(lambda a: _score(a, target), key, config, 2)

  action, score = jax.jit(jax.vmap(one))(targets, keys)
  assert action.shape == (2, 2) and score.shape == (2,)
  for i in range(2):
    alone = one(targets[i], jax.random.split(jax.random.key(2), 2)[i])
    np.testing.assert_allclose(action[i], alone[0], rtol=1e-5, atol=1e-6)


def test_no_gradient_flows_into_the_result():
  def loss(target):
    action, score = cem.search(
      lambda a: _score(a, target), jax.random.key(3), cem.SearchConfig(), 2
    )
    return action.sum() + score

  np.testing.assert_array_equal(jax.grad(loss)(TARGET), [0.0, 0.0])


@pytest.mark.parametrize(
  "field, value",
  [("update", "soft"), ("iterations", 0), ("num_samples", 0), ("num_elites", 1)],
)
def test_bad_settings_are_named(field, value):
  with pytest.raises(ValueError, match=f"{field} is '?{value}'?: expected"):
    cem.SearchConfig(**{field: value})


def test_more_elites_than_draws_are_refused():
  with pytest.raises(ValueError, match="num_elites is 5: expected 2 to num_samples"):
    cem.SearchConfig(num_samples=4)
  cem.SearchConfig("softmax", num_samples=4)
