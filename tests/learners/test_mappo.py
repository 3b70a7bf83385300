"""MAPPO in imagination: its targets by hand, and what it learns in a perfect model."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.configs.registry import component
from logo_jax.data import dataset
from logo_jax.learners import mappo
from logo_jax.learners.parts import on_policy
from logo_jax.training.compose import System, compose
from logo_jax.training.step import make_train, stages
from logo_jax.types import Prediction, Rollouts, WorldModel
from tests import toys
from tests.learners import problems
from tests.training import systems

SMALL = dict(hidden_size=32, clone_updates=200, value_updates=10)


def _learned(loaded, model, updates, **fields):
  """The learner and its state after all of its phases, in a given model."""
  config = systems.small(
    "logo_macql",
    learner=component("learner", "mappo", **(SMALL | fields)),
    horizon=4,
    num_starts=64,
    total_updates=updates,
    collect_interval=updates,
  )
  learner = compose(config, loaded.spec, loaded.statistics).learner
  system = System(learner, systems.trusting(model), loaded.spec.max_steps)
  state = None
  for stage in stages(system, config):
    train = make_train(system, config, phase=stage.name)
    first = jax.jit(train.init)(jax.random.key(3), (), loaded.data)
    state = first if state is None else first._replace(learner=state.learner)
    chunk = jax.jit(train.chunk)
    for _ in range(stage.updates // stage.interval):
      state, metrics = chunk(state, loaded.data)
      assert all(np.isfinite(x).all() for x in metrics.values())
  assert state is not None
  return learner, state.learner, metrics


def _game(payoff) -> WorldModel:
  """A one-step game of two agents itself in the place of a model."""

  def step(params, t, action, key):
    reward = jnp.array(payoff)[2 * action[:, 0] + action[:, 1]]
    views = jnp.zeros((len(reward), 1, 1, 1))
    p = Prediction(t.obs, t.state, reward, 0 * reward, t.legal, views, views)
    return t, p

  return WorldModel(1, 1, None, None, None, lambda p, t, k: t, step, None)  # type: ignore


def test_a_matrix_game_is_solved_at_the_defaults_where_cloning_is_not_enough():
  game = dataset.load(toys.matrix_game())
  model = _game([1.0, 0.0, 0.0, 3.0])
  learner, state, _ = _learned(game, model, 60)
  assert problems.plays(learner, state) == (1, 1)
  cloned, state, _ = _learned(game, model, 1, learning_rate=1e-9)
  assert problems.plays(cloned, state) == (0, 0)


@pytest.mark.slow
def test_the_clone_holds_policies_back():
  game = dataset.load(toys.matrix_game())
  _, _, held = _learned(game, _game([1.0, 0.0, 0.0, 3.0]), 60, kl_weight=100.0)
  assert float(held["learner/kl_to_clone"]) < 0.01


def test_wins_the_corridor_in_the_least_number_of_steps():
  loaded = systems.load()
  learner, state, metrics = _learned(
    loaded, systems.simulator(), 150, learning_rate=1e-3
  )
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)
  assert float(metrics["learner/value_explained"]) > 0.7


def test_continuous_actions_come_near_to_the_best_gain():
  # With more noise actions are clipped, and clones are steeper than the data.
  loaded = dataset.load(toys.linear_quadratic(noise=0.2))

  def step(params, x, action, key):
    reward = -(x**2 + toys.LQ_COST * (action**2).sum((-2, -1)))
    x = x + toys.LQ_PUSH * action.sum((-2, -1))
    obs = jnp.broadcast_to(x[:, None, None], (len(x), 2, 1))
    views = jnp.zeros((len(x), 1, 1, 1))
    legal = jnp.ones((len(x), 2, 1), bool)
    p = Prediction(obs, x[:, None], reward, jnp.ones_like(x), legal, views, views)
    return x, p

  model = WorldModel(
    1,
    1,
    None,
    None,
    None,
    lambda p, t, k: t.state[:, 0],
    step,
    None,  # type: ignore
  )
  learner, state, _ = _learned(loaded, model, 120, discount=0.9, learning_rate=1e-3)
  cloned = state._replace(params=state.params | {"played": state.target["clone"]})
  before, after = (problems.lq_gains(learner, x).mean() for x in (cloned, state))
  assert before < 0.65  # the data: 0.5
  assert after > 0.75  # the best: 0.98


def _context(loaded):
  return problems.context(loaded, lambda rate, clip_norm=10.0: optax.adam(rate))


def _two_rollouts(loaded) -> Rollouts:
  one = dataset.transitions(loaded.data.rows, jnp.zeros((2, 3), jnp.int32))
  t = one._replace(
    reward=jnp.array([[1.0, 2.0, 4.0], [1.0, 0.0, 0.0]]) / 8,
    discount=jnp.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]),
    time=jnp.array([[0, 1, 2], [0, 1, 2]]),
  )
  weight = jnp.array([[1.0, 1.0, 1.0], [3.0, 0.0, 0.0]])
  goes_on = jnp.array([[True, True, False], [False, False, False]])
  return Rollouts(t, weight, goes_on, weight)


def test_targets_by_hand():
  """lambda 0.5, gamma 0.5, value 0 everywhere but for what is asked for behind steps.

  Rewards 1, 2, 4. The second rollout is cut after its first step, and the last step of
  the first ends the episode.
  """
  loaded = systems.load()
  config = mappo.Config(hidden_size=8, discount=0.5, gae_lambda=0.5)
  parts = mappo.make_parts(config, problems.context(loaded))
  context = _context(loaded)
  state = jax.jit(mappo.make(config, context).init)(jax.random.key(0))
  rollouts = _two_rollouts(loaded)
  t = rollouts.transition
  samples, _ = jax.jit(functools.partial(on_policy.prepare, parts))(state, rollouts)
  value = jax.jit(parts.value.apply)
  v = value(state.params["value"], t.next_state, t.time + 1)
  last = 0.5
  second = 0.25 + 0.5 * (0.5 * v[0, 1] + 0.5 * last)
  first = 0.125 + 0.5 * (0.5 * v[0, 0] + 0.5 * second)
  cut = 0.125 + 0.5 * v[1, 0]
  np.testing.assert_allclose(samples.target[:3], [first, second, last], rtol=1e-5)
  np.testing.assert_allclose(samples.target[3], cut, rtol=1e-5)
  now = value(state.params["value"], t.state, t.time)
  gain = samples.target - now.ravel()
  np.testing.assert_allclose(samples.advantage, gain, 1e-4, 1e-6)


def test_what_is_played_averages():
  loaded = systems.load()
  config = mappo.Config(
    hidden_size=8, num_epochs=1, num_minibatches=1, average_share=0.5
  )
  learner, rollouts = mappo.make(config, _context(loaded)), _two_rollouts(loaded)
  start = jax.jit(learner.init)(jax.random.key(0))
  warm, update = (jax.jit(x.update) for x in (learner.preludes[1], learner))
  value, _ = warm(start, rollouts, jax.random.key(1))
  first, _ = update(value, rollouts, jax.random.key(2))
  second, _ = update(first, rollouts, jax.random.key(3))
  acted = (jax.tree.leaves(x.params["policy"]) for x in (start, first, second))
  played = jax.tree.leaves(second.params["played"])
  for clone, one, two, average in zip(*acted, played, strict=True):
    # Rates 1 / (1 + 1/2) and 1 / (1 + 2/2), whatever came before.
    by_hand = (clone / 3 + 2 * one / 3) / 2 + two / 2
    np.testing.assert_allclose(average, by_hand, 1e-5, 1e-7)
    assert not np.array_equal(one, two)


def test_the_value_stays_within_what_can_be_earned():
  loaded = systems.load()
  context = problems.context(loaded)
  low, high = mappo.make_parts(mappo.Config(), context).value.bounds
  returns = loaded.statistics.return_range
  assert low == pytest.approx(returns[0]) and high == pytest.approx(returns[1])
  # A reward for ever at a small gamma is worth less than the longest return.
  short = mappo.make_parts(mappo.Config(discount=0.1), context).value.bounds
  assert short[1] == pytest.approx(float(loaded.statistics.reward.high) / 0.9)


def test_a_model_is_needed():
  loaded = systems.load()
  config = systems.small("bc", learner=component("learner", "mappo"))
  with pytest.raises(ValueError, match="learner.name: 'mappo' learns on rollouts in a"):
    compose(config, loaded.spec, loaded.statistics)
  wrong = dataclasses.replace(
    systems.small("logo_macql", learner=component("learner", "mappo")), num_starts=7
  )
  with pytest.raises(ValueError, match="num_minibatches: 4 must divide the 21"):
    compose(wrong, loaded.spec, loaded.statistics)
