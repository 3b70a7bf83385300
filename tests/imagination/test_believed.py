"""Policies that read beliefs see the same in recordings, in the model, and in games."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.configs.registry import component
from logo_jax.data.dataset import transitions
from logo_jax.imagination import believed
from logo_jax.training import matching
from logo_jax.training.compose import System, batch_shares, compose
from logo_jax.training.sources import Acting, UpdateKeys, on_policy
from logo_jax.types import Actor, Observed
from logo_jax.world_models import rssm
from tests.training import systems

T, N = 4, 2
SMALL = rssm.Config(
  window=T,
  hidden_size=8,
  num_categoricals=2,
  num_classes=4,
  num_layers=1,
  num_heads=2,
  latent="mode",
)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def loaded():
  return systems.load()


@pytest.fixture(scope="module")
def model(loaded):
  return rssm.make(SMALL, loaded.spec, loaded.statistics)


@pytest.fixture(scope="module")
def params(model):
  return jax.jit(model.init)(jax.random.key(1))


@pytest.fixture(scope="module")
def window(loaded):
  """The first steps of the first episode, [1, T]."""
  return transitions(loaded.data.rows, jnp.arange(T)[None])


@pytest.fixture(scope="module")
def told(model, params, window):
  tell = jax.jit(lambda t: believed.told(model.beliefs, params, t, KEY))
  return tell(window)


def _replaying(action) -> Actor:
  """Does what was recorded, [T, N], and remembers what it was shown, and the step."""
  size = 2 * 4 + 8

  def initial_carry(shape):
    return jnp.int32(0), jnp.zeros((*shape, N, size)), jnp.zeros((*shape, N * size))

  def act(params, carry, now, key, greedy=False):
    return (carry[0] + 1, now.obs, now.state), action[carry[0]][None]

  return Actor(initial_carry, act)


def _played(model, params, t):
  """What policies are shown at each step of a game that goes as recorded."""
  actor = believed.acting_on(model.beliefs, _replaying(t.action[0]))
  assert actor.centralised
  act, carry = jax.jit(actor.act), actor.initial_carry((1,))
  shown = []
  for step in range(T):
    now = Observed(t.obs[:, step], t.state[:, step], t.legal[:, step])
    carry, action = act((params, (), ()), carry, now, jax.random.key(step))
    np.testing.assert_array_equal(action, t.action[:, step])
    shown.append(carry[1][1:])
  return [np.stack(x, 1) for x in zip(*shown, strict=True)]


def test_a_game_shows_what_recordings_tell(model, params, window, told):
  """Features and no observations; what follows a step is what the next one shows."""
  obs, state = _played(model, params, window)
  np.testing.assert_allclose(obs, told.obs, atol=1e-5)
  np.testing.assert_allclose(state, told.state, atol=1e-5)
  np.testing.assert_array_equal(told.state, told.obs.reshape(1, T, -1))
  np.testing.assert_array_equal(told.next_obs[:, :-1], told.obs[:, 1:])
  np.testing.assert_array_equal(told.next_state[:, :-1], told.state[:, 1:])
  assert np.ptp(told.obs, 1).max() > 0.1
  for name in ("legal", "action", "reward", "discount", "next_legal", "time"):
    np.testing.assert_array_equal(getattr(told, name), getattr(window, name))


def test_an_agent_hears_of_the_others_a_step_later(model, params, window):
  """What the second agent saw, and did, at the first step."""
  before, _ = _played(model, params, window)
  seen = window.obs.at[:, 0, 1].set(-9.0)  # so that other classes are likeliest
  done = window.action.at[:, 0, 1].set((window.action[:, 0, 1] + 1) % 3)
  for change in ({"obs": seen}, {"action": done}):
    after, _ = _played(model, params, window._replace(**change))
    moved = np.abs(after - before)[0, :2, 0].max(-1) > 1e-6
    np.testing.assert_array_equal(moved, [False, True])


def test_rollouts_begin_with_what_histories_tell(loaded, model, params):
  """And go on as the model does, whose latents are what policies are shown."""
  learner = systems.recorder(1, None)  # type: ignore
  imagination = systems.trusting(model)
  system = System(learner, imagination, 8, beliefs=model.beliefs)
  config = systems.small("mamba_native", horizon=2)
  source, rows = on_policy.make(system, config, None), loaded.data.rows
  keys = UpdateKeys(*(jax.random.key(i) for i in range(4)))
  index = source.plan_update(loaded.data, keys)
  assert index.shape == (config.num_starts, T)

  @jax.jit
  def go(params):
    rollouts, _ = source.draw((), Acting(params, (), ()), rows, index, keys)
    t = rollouts.transition
    latent = model.start(params, transitions(rows, index), KEY)
    after, p = model.step(params, latent, t.action[:, 0], KEY)
    return t, latent.features(), after.features(), p

  t, first, second, p = go(params)
  np.testing.assert_allclose(t.obs[:, 0], first, atol=1e-5)
  np.testing.assert_allclose(t.next_obs[:, 0], second, atol=1e-5)
  np.testing.assert_array_equal(t.obs[:, 1], t.next_obs[:, 0])
  np.testing.assert_allclose(t.reward[:, 0], p.reward, atol=1e-5)
  np.testing.assert_array_equal(t.legal[:, 0], rows.legal[index[:, -1]])
  np.testing.assert_array_equal(t.time[:, 0], rows.time[index[:, -1]])


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"model": None, "uncertainty": None, "weighting": None}, "reads: .*; got None"),
    ({"model": component("model", "direct")}, "reads: 'believed' needs.*got 'direct'"),
    ({"learner": component("learner", "macql")}, "reads: must be 'observed' with"),
    ({"planner": component("planner", "mpc")}, "planner: must be None.*got 'mpc'"),
    ({"init_from": "runs/x"}, "init_from: must be ''.*got 'runs/x'"),
    ({"batch_size": 50}, "batch_size: .*must be multiples of model.window .20."),
  ],
)
def test_what_cannot_read_beliefs_is_refused(loaded, changes, message):
  config = dataclasses.replace(presets.get("mamba_native"), **changes)
  with pytest.raises(ValueError, match=message):
    _composed(config, loaded)


def _composed(config, loaded):
  system = compose(config, loaded.spec, loaded.statistics)
  matching.check_window(config, batch_shares(config), system)
