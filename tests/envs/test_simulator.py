"""The game itself in a world model's place."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.envs import base, simulator
from logo_jax.ops.standardise import moments
from logo_jax.training import compose
from logo_jax.types import Observed, Statistics

B = 4


@pytest.fixture(scope="module")
def env():
  return base.make("smax/3m")


def _make(spec):
  nothing = moments(np.zeros((1, 1)))
  statistics = Statistics(nothing, nothing, nothing, (0.0, 0.0))
  return simulator.make(simulator.Config(), spec, statistics)


@pytest.mark.parametrize("time", [(), jnp.zeros(B, jnp.int32)], ids=["none", "known"])
def test_it_steps_as_the_game_does(env, time):
  model, key = _make(env.spec), jax.random.key(1)
  states, first = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), B))
  east = jnp.ones((B, 3), jnp.int32)

  @jax.jit
  def both(states, first):
    now = Observed(first.obs, first.state, first.legal, time)
    params = model.init(key)
    latent = model.start(params, now.standing(east), key)
    _, predicted = model.step(params, latent, east, jax.random.clone(key))
    _, expected = jax.vmap(env.step)(states, east, jax.random.split(key, B))
    return predicted, expected

  predicted, expected = both(states, first)
  for name in ("obs", "state", "legal", "reward", "discount"):
    x, y = getattr(predicted, name), getattr(expected, name)
    np.testing.assert_allclose(x, y, atol=1e-6, err_msg=name)
  moved = np.asarray(predicted.state - first.state)[:, :60].reshape(B, 6, 10)
  assert (moved[:, :3, 1] > 0.5).all()


def test_its_system_is_refused_where_nothing_goes_on_from_records(env):
  chosen = presets.get("simulator_mappo")
  hopper = base.make("mamujoco/hopper-3x1").spec
  with pytest.raises(ValueError, match=r"'simulator' needs .* smax/<map>; got 'mamuj"):
    compose.check_components(chosen, hopper)
  others = dataclasses.replace(env.spec, state_dim=9)
  with pytest.raises(ValueError, match=r"smax/3m itself, .*\(3, 75, 72\); the .* 9\)"):
    compose.check_components(chosen, others)
