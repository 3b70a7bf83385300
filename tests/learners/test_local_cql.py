"""OMAR without its search: independent conservative learners of observations alone."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.learners import omar
from tests import toys
from tests.learners import problems

SMALL = omar.Config(
  hidden_size=32,
  learning_rate=3e-3,
  target_rate=0.05,
  cql_weight=0.1,
  search_weight=0.0,
  value_input="obs",
)


def test_learns_to_win_the_corridor():
  """From random play to the known best return, 1.6."""
  loaded = toys.load_corridor(400)
  learner = omar.make(SMALL, problems.context(loaded))
  state, _ = problems.train(learner, loaded, 600)
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)


@pytest.mark.slow
def test_follows_the_gradient_in_the_linear_quadratic_task(lq):
  """To 1.3, the best for one agent while the other plays as in the data."""
  config = dataclasses.replace(
    SMALL,
    learning_rate=1e-3,
    cql_weight=0.01,
    discount=toys.LQ_DISCOUNT,
  )
  learner = omar.make(config, problems.context(lq))
  state, metrics = problems.train(learner, lq, 1_500)
  problems.assert_gains(problems.lq_gains(learner, state), 1.3)
  assert not metrics["learner/search_gain"].any()  # nothing was searched
  assert not metrics["learner/search_distance"].any()


def _update(config, loaded, change):
  """Parameters after one update on a batch whose states `change` has moved."""
  learner = omar.make(config, problems.context(loaded))
  batch = problems.draw_batch(loaded, 16, jax.random.key(1))
  t = batch.transition
  t = t._replace(state=t.state + change, next_state=t.next_state - change)
  state = jax.jit(learner.init)(jax.random.key(0))
  after, _ = jax.jit(learner.update)(
    state, batch._replace(transition=t), jax.random.key(2)
  )
  return learner.reads_state, jax.device_get(after.params)


def _same(a, b) -> bool:
  return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


@pytest.mark.parametrize("value_input", ["obs", "obs_state"])
def test_states_are_read_only_if_the_learner_says_so(game, value_input):
  config = dataclasses.replace(SMALL, value_input=value_input)
  (reads, before), (_, after) = (_update(config, game, x) for x in (0.0, 1.0))
  assert reads == (value_input == "obs_state")
  assert _same(before, after) == (not reads)


def test_continuous_values_read_no_states(lq):
  config = dataclasses.replace(SMALL, value_input=None)
  (reads, before), (_, after) = (_update(config, lq, x) for x in (0.0, 1.0))
  assert not reads and _same(before, after)
  message = "learner.value_input: 'obs_state' needs discrete actions"
  with pytest.raises(ValueError, match=message):
    omar.make(dataclasses.replace(SMALL, value_input="obs_state"), problems.context(lq))


def test_losses_are_those_of_values_and_policy_by_hand(game):
  """Values (1, 3) and a policy of (1/4, 3/4): no imitation, all of the ascent."""
  config = dataclasses.replace(
    SMALL,
    discount=0.9,
    cql_weight=2.0,
    reward_scale=1.0,
    clip_target=False,
    normalise_q=False,
    num_heads=1,
  )
  context = problems.context(game)
  parts = omar.make_parts(config, context)
  state = jax.jit(omar.make(config, context).init)(jax.random.key(0))
  params = jax.tree.map(jnp.zeros_like, state.params)
  params["value"]["params"]["advantage"]["bias"] = jnp.array([[1.0, 3.0]])
  params["policy"]["params"]["Dense_2"]["bias"] = jnp.array([0.0, np.log(3)])
  batch = problems.draw_batch(game, 1, jax.random.key(1))
  t = batch.transition._replace(
    action=jnp.array([[1, 1]]), reward=jnp.full(1, 2.0), discount=jnp.ones(1)
  )
  losses = jax.jit(functools.partial(omar.losses, parts))
  loss, _ = losses(params, params, batch._replace(transition=t), jax.random.key(0))
  bellman = (3 - (2 + 0.9 * 3)) ** 2
  gap = np.log(np.exp(1) + np.exp(3)) - 3
  ascent = (3 - (1 / 4 + 9 / 4)) * np.log(3 / 4)
  assert float(loss) == pytest.approx(bellman + 2 * gap - ascent, rel=1e-5)
