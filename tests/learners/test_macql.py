"""MACQL and BC: known optima, and each part of the losses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.data.dataset import load, transitions
from logo_jax.learners import bc, macql
from logo_jax.types import Batch, LearnerContext
from tests import toys

SMALL = macql.Config(hidden_size=32, learning_rate=3e-3, target_rate=0.05)


def _context(loaded, optimizer=optax.adam):
  return LearnerContext(loaded.spec, loaded.statistics, optimizer)


def _batch(loaded, size, key, real=True):
  index = jax.random.randint(key, (size,), 0, loaded.data.starts.shape[0])
  t = transitions(loaded.data.rows, loaded.data.starts[index])
  return Batch(t, jnp.ones(size), jnp.full(size, real), jnp.float32(1))


def _train(learner, loaded, updates, size=64):
  def update(state, step):
    k_batch, k_update = jax.random.split(jax.random.fold_in(jax.random.key(7), step))
    return learner.update(state, _batch(loaded, size, k_batch), k_update)

  state = learner.init(jax.random.key(0))
  run = jax.jit(lambda s: jax.lax.scan(update, s, jnp.arange(updates)))
  state, metrics = run(state)
  return state, metrics


@pytest.fixture(scope="module")
def game():
  return load(toys.matrix_game())


def _plays(learner, state):
  obs, legal = jnp.ones((2, 1)), jnp.ones((2, 2), bool)
  action = learner.act(state.params, obs, legal, jax.random.key(0), greedy=True)
  return tuple(int(a) for a in action)


def test_imitation_plays_what_most_do(game):
  learner = bc.make(bc.Config(hidden_size=32, learning_rate=3e-3), _context(game))
  state, _ = _train(learner, game, 300)
  assert _plays(learner, state) == (0, 0)


def test_conservative_q_learning_finds_the_optimum(game):
  """The majority miscoordinates; the best joint action is rarer."""
  config = dataclasses.replace(SMALL, cql_weight=0.5, bc_weight=0.1)
  learner = macql.make(config, _context(game))
  state, metrics = _train(learner, game, 1_500)
  assert _plays(learner, state) == (1, 1)
  assert np.isfinite(metrics["learner/bellman_error"]).all()


def test_learns_to_win_the_corridor():
  """From random play to the known best return, 1.6."""
  loaded = toys.load_corridor(400)
  config = dataclasses.replace(SMALL, cql_weight=0.5, bc_weight=0.1)
  learner = macql.make(config, _context(loaded))
  state, _ = _train(learner, loaded, 1_000)
  env = toys.corridor()
  env_state, now = env.reset(jax.random.key(0))
  total = 0.0
  for step in range(toys.MAX_STEPS):
    key = jax.random.key(step)
    action = learner.act(state.params, now.obs, now.legal, key, greedy=True)
    assert now.legal[jnp.arange(2), action].all()
    env_state, now = env.step(env_state, action, jax.random.key(step + 100))
    total += float(now.reward)
    if now.last:
      break
  assert bool(now.won)
  assert total == pytest.approx(1.6)


def _value_metrics(config, batch, loaded, state):
  parts = macql._parts(config, _context(loaded))
  return macql.value_loss(
    parts,
    state.params["value"],
    state.params["policy"],
    state.target,
    batch,
    jax.random.key(5),
  )


def test_target_stops_at_termination_and_at_the_range(game):
  learner = macql.make(SMALL, _context(game))
  state = learner.init(jax.random.key(0))
  batch = _batch(game, 256, jax.random.key(1))
  _, metrics = _value_metrics(SMALL, batch, game, state)
  # Every transition terminates: the target is the mean reward, whatever Q says.
  expected = float(batch.transition.reward.mean())
  assert float(metrics["learner/q_target"]) == pytest.approx(expected, rel=1e-5)
  endless = batch._replace(
    transition=batch.transition._replace(
      discount=jnp.ones(256), reward=jnp.full(256, 100.0)
    )
  )
  _, metrics = _value_metrics(SMALL, endless, game, state)
  assert float(metrics["learner/q_target"]) == pytest.approx(3.0)  # the best return


@pytest.mark.parametrize("on", ["real", "batch"])
def test_imagined_rows_and_the_conservative_term(game, on):
  """With push_down_on = push_up_on = real, imagined rows do not enter the gap."""
  config = dataclasses.replace(SMALL, push_down_on=on, push_up_on=on)
  learner = macql.make(config, _context(game))
  state = learner.init(jax.random.key(0))
  real = _batch(game, 64, jax.random.key(1))
  mixed = real._replace(real=jnp.arange(64) < 32, real_share=jnp.float32(0.5))
  other = mixed.transition.action.at[32:].set(1 - mixed.transition.action[32:])
  changed = mixed._replace(transition=mixed.transition._replace(action=other))
  gaps = [
    float(_value_metrics(config, b, game, state)[1]["learner/cql_gap"])
    for b in (mixed, changed)
  ]
  assert (gaps[0] == gaps[1]) == (on == "real")


def test_padding_changes_nothing(game):
  learner = macql.make(SMALL, _context(game))
  state = learner.init(jax.random.key(0))
  batch = _batch(game, 32, jax.random.key(1))
  weight = jnp.where(jnp.arange(32) < 16, 2.0, 0.0)  # half padding, mean 1
  padded = batch._replace(weight=weight)
  garbage = jax.tree.map(lambda x: x.at[16:].set(x[0]), batch.transition)
  again = padded._replace(transition=garbage)
  parts = bc.make(bc.Config(hidden_size=8), _context(game))
  s = parts.init(jax.random.key(0))
  losses = [
    float(parts.update(s, b, jax.random.key(2))[1]["learner/bc_loss"])
    for b in (padded, again)
  ]
  assert losses[0] == losses[1]
  errors = [
    float(_value_metrics(SMALL, b, game, state)[1]["learner/bellman_error"])
    for b in (padded, again)
  ]
  assert errors[0] == errors[1]
