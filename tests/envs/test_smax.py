"""SMAX: what an episode shows, and how its ends differ."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.envs import base, smax

_STOP = 4


@pytest.fixture(scope="module")
def env():
  return base.make("smax/3m")


@pytest.fixture(scope="module")
def reset(env):
  return jax.jit(env.reset)


@pytest.fixture(scope="module")
def step(env):
  return jax.jit(env.step)


def _play(reset, step, choose, num_steps=105):
  """Plays on past the end; time steps stacked."""
  k_reset, k_play = jax.random.split(jax.random.key(0))
  state, timestep = reset(k_reset)
  seen = [timestep]
  for i in range(num_steps):
    k_choose, k_step = jax.random.split(jax.random.fold_in(k_play, i))
    state, timestep = step(state, choose(timestep, k_choose), k_step)
    seen.append(timestep)
  return jax.tree.map(lambda *x: np.stack(x), *seen)


def _random(timestep, key):
  return jax.random.categorical(key, jnp.where(timestep.legal, 0.0, -1e9))


def _shoot(timestep, key):
  """Shoots the first enemy in range; else walks east, the enemy's side."""
  del key
  target = jnp.argmax(timestep.legal[:, 5:], axis=-1)
  return jnp.where(
    timestep.legal[:, 5:].any(-1),
    5 + target,
    jnp.where(timestep.legal[:, 1], 1, _STOP),
  )


@pytest.fixture(scope="module")
def defeat(reset, step):
  return _play(reset, step, lambda timestep, key: jnp.full(3, _STOP))


@pytest.fixture(scope="module")
def win(reset, step):
  for attempt in range(20):
    played = _play(
      lambda key, attempt=attempt: reset(jax.random.fold_in(key, attempt)),
      step,
      _shoot,
    )
    if played.won.any():
      return played
  pytest.fail("no win in 20 battles")


def _end(played) -> int:
  return int(np.argmax(played.last))


def test_shapes_and_types(env, reset):
  spec = env.spec
  _, timestep = reset(jax.random.key(0))
  assert (spec.name, spec.num_agents, spec.action_dim) == ("smax/3m", 3, 8)
  assert timestep.obs.shape == (3, spec.obs_dim)
  assert timestep.state.shape == (spec.state_dim,)
  assert timestep.legal.shape == (3, 8)
  assert timestep.legal.dtype == bool
  for field in (timestep.obs, timestep.state, timestep.reward, timestep.discount):
    assert field.dtype == jnp.float32
  assert timestep.reward.shape == timestep.last.shape == timestep.won.shape == ()


def test_2s3z_has_the_published_sizes():
  spec = base.make("smax/2s3z").spec
  sizes = (spec.num_agents, spec.obs_dim, spec.state_dim, spec.action_dim)
  assert sizes == (5, 127, 120, 10)
  assert spec.max_steps == 100


def test_step_keeps_shapes_and_types_so_that_it_can_be_scanned(env):
  state, timestep = jax.eval_shape(env.reset, jax.random.key(0))
  action = jax.ShapeDtypeStruct((3,), jnp.int32)
  after = jax.eval_shape(env.step, state, action, jax.random.key(0))
  assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
    lambda x: (x.shape, x.dtype), (state, timestep)
  )
  weak = [x.weak_type for x in jax.tree.leaves((state, timestep))]
  assert not any(weak)


def test_defeat_ends_with_discount_0(defeat):
  end = _end(defeat)
  assert 0 < end < smax.MAX_STEPS
  assert defeat.discount[end] == 0
  assert not defeat.won.any()
  np.testing.assert_array_equal(defeat.discount[:end], 1)
  alive_health = defeat.state[end].reshape(-1)[:60].reshape(6, 10)[:3, 0]
  np.testing.assert_array_equal(alive_health, 0)


def test_win_ends_with_discount_0_and_its_bonus(win):
  end = _end(win)
  assert win.won[end]
  assert not win.won[:end].any()
  assert win.discount[end] == 0
  assert win.reward[end] >= 1
  np.testing.assert_allclose(win.reward.sum(), 2.0, atol=1e-5)


def test_time_limit_keeps_discount_1(reset, step):
  """Nobody can shoot, and the clock is near its end."""
  k_reset, k_step = jax.random.split(jax.random.key(0))
  state, _ = reset(k_reset)
  inner = state.state
  state = state.replace(
    state=inner.replace(
      unit_weapon_cooldowns=jnp.full_like(inner.unit_weapon_cooldowns, 1e6),
      step=jnp.full_like(inner.step, smax.MAX_STEPS - 2),
    )
  )
  state, timestep = step(state, jnp.full(3, _STOP), k_step)
  assert not timestep.last
  state, timestep = step(state, jnp.full(3, _STOP), jax.random.fold_in(k_step, 1))
  assert timestep.last
  assert timestep.discount == 1
  assert not timestep.won


@pytest.mark.parametrize("ending", ["win", "defeat"])
def test_the_end_is_frozen_and_pays_nothing(ending, request):
  played = request.getfixturevalue(ending)
  end = _end(played)
  assert played.last[end:].all()
  np.testing.assert_array_equal(played.reward[end + 1 :], 0)
  for field in ("obs", "state", "legal", "won", "discount"):
    after = getattr(played, field)[end:]
    np.testing.assert_array_equal(after, np.broadcast_to(after[0], after.shape))


def test_final_observation_is_shown_not_the_next_start(win):
  end = _end(win)
  np.testing.assert_array_equal(win.state[end].reshape(-1)[30:60], 0)  # enemies gone
  assert (win.state[0].reshape(-1)[30:60] != 0).any()


def test_every_agent_may_always_do_something_and_the_dead_only_stop(reset, step):
  played = _play(reset, step, _random)
  assert played.legal.any(-1).all()
  dead = played.state[:, :60].reshape(-1, 6, 10)[:, :3, 0] == 0
  assert dead.any()
  only_stop = np.arange(8) == _STOP
  np.testing.assert_array_equal(played.legal[dead], np.tile(only_stop, (dead.sum(), 1)))


def test_cooldowns_do_not_drift_below_0(defeat):
  cooldown = defeat.state[:, :60].reshape(-1, 6, 10)[..., 3]
  assert cooldown.min() == 0
  assert cooldown.max() > 0


def test_same_keys_same_battle(reset, step, defeat):
  again = _play(reset, step, lambda timestep, key: jnp.full(3, _STOP))
  jax.tree.map(np.testing.assert_array_equal, again, defeat)


@pytest.fixture
def not_imported():
  """As if nobody had imported JaxMARL yet; what was there comes back afterwards."""
  there = {k: v for k, v in sys.modules.items() if k.startswith("jaxmarl")}
  for name in there:
    del sys.modules[name]
  yield
  for name in [name for name in sys.modules if name.startswith("jaxmarl")]:
    del sys.modules[name]
  sys.modules.update(there)


def test_import_leaves_out_the_other_games_and_the_streams_alone(capsys, not_imported):
  streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
  env, _ = smax._import_smax.__wrapped__()
  assert env.map_name_to_scenario("3m").num_allies == 3
  assert streams == (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
  assert capsys.readouterr() == ("", "")
  # Nothing half imported stays for those who import JaxMARL next.
  assert not [name for name in sys.modules if name.startswith("jaxmarl")]


def test_somebody_elses_import_is_used_and_stays(not_imported):
  theirs = {
    name: smax._bare_package(name) for name in ("jaxmarl", "jaxmarl.environments")
  }
  sys.modules.update(theirs)
  env, _ = smax._import_smax.__wrapped__()
  assert sys.modules["jaxmarl.environments.smax.smax_env"] is env
  assert {name: sys.modules[name] for name in theirs} == theirs


@pytest.mark.parametrize("name", ["smax/9z", "chess/2s3z", "smax", "", "2s3z"])
def test_unknown_names_are_refused_with_those_allowed(name):
  with pytest.raises(ValueError, match=r"is not one of: .*smax/2s3z"):
    base.make(name)


def test_unknown_scenario_of_the_suite_is_refused():
  with pytest.raises(ValueError, match="'9z' is not one of: 3m, 2s3z"):
    smax.make("9z")


def test_missing_package_names_the_extra(monkeypatch, not_imported):
  monkeypatch.setitem(sys.modules, "jaxmarl", None)
  with pytest.raises(ImportError, match=r"pip install 'logo_jax\[smax\]'"):
    smax.make("3m")


def test_weaker_enemies_are_seen_as_such(env, reset):
  state, first = reset(jax.random.key(0))
  weaker, seen = jax.jit(smax.weaken("3m"))(state, first, jnp.float32(0.5))
  health = np.asarray(seen.state[: 6 * 10 : 10])  # ten features of each unit
  np.testing.assert_allclose(health, [1, 1, 1, 0.5, 0.5, 0.5])
  others = np.delete(np.arange(len(first.state)), range(30, 60, 10))
  np.testing.assert_array_equal(seen.state[others], first.state[others])
  np.testing.assert_allclose(weaker.state.unit_health[3:], 0.5 * 45.0)
  assert base.weaken("smax/3m") is not None
  assert base.weaken("mamujoco/hopper-3x1") is None
  assert base.weaken("mine/game") is None


def test_a_battle_goes_on_from_what_was_recorded_of_it(env):
  resume = base.resume("smax/3m")
  sight = 9.0  # of a marine

  def play(key):
    state, first = env.reset(jax.random.fold_in(key, 0))

    def step(carry, time):
      state, seen = carry
      k_choose, k_step = jax.random.split(jax.random.fold_in(key, time + 1))
      drawn = _random(seen, k_choose)
      action = jnp.where(drawn % 2 == 0, _shoot(seen, k_choose), drawn)
      resumed = resume(seen.obs, seen.state, time)
      _, new = env.step(resumed, action, k_step)
      state, expected = env.step(state, action, k_step)
      return (state, expected), (seen, new, expected)

    return jax.lax.scan(step, (state, first), jnp.arange(30))[1]

  seen, new, expected = jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(3), 16))
  unit = np.asarray(seen.state)[..., :60].reshape(16, 30, 6, 10)
  near = np.linalg.norm(unit[:, :, 3:, None, 1:3] - unit[:, :, None, :3, 1:3], axis=-1)
  near = (near < sight) & (unit[:, :, None, :3, 0] > 0)
  chases = near.any(-1) | (unit[:, :, 3:, 0] == 0)
  # An enemy that sees nobody goes where it once decided to go, which nobody records.
  known = chases.all(-1) & ~np.asarray(seen.last)
  known[:, 0] = True  # it decides when a battle begins
  assert 0.3 < known.mean() < 1 and (np.asarray(expected.reward)[known] > 0).any()
  for x, y in zip(new, expected, strict=True):
    np.testing.assert_allclose(np.asarray(x)[known], np.asarray(y)[known], atol=1e-5)
  assert base.resume("mamujoco/hopper-3x1") is base.resume("mine/game") is None


def test_x64_is_refused_in_one_line():
  with (
    jax.enable_x64(True),
    pytest.raises(ValueError, match="SMAX: JaxMARL fails with jax_enable_x64; turn it"),
  ):
    smax.make("3m")
