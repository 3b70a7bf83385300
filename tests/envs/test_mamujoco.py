"""Multi-agent MuJoCo: equal to Gymnasium-Robotics, whatever the number of copies."""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from logo_jax.envs import base, mamujoco

pytest.importorskip("gymnasium_robotics")

_ROBOTS = {
  "hopper-3x1": ("Hopper", "3x1"),
  "ant-2x4": ("Ant", "2x4"),
  "halfcheetah-6x1": ("HalfCheetah", "6x1"),
}


@pytest.fixture(params=_ROBOTS)
def scenario(request):
  return request.param


def _theirs(scenario, monkeypatch, tmp_path):
  """Gymnasium-Robotics' environment as it comes, contact forces included."""
  monkeypatch.chdir(tmp_path)  # MuJoCo leaves a log in the working directory
  _, robotics = mamujoco._import()
  return robotics.parallel_env(*_ROBOTS[scenario], agent_obsk=1)


def _reset(env, num, seed=0):
  return env.reset(np.random.default_rng(seed), num)


def _random(env, num, seed=1):
  shape = (num, env.spec.num_agents, env.spec.action_dim)
  return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def _copy(tree, index):
  """One copy out of many, as a tree of arrays `[1, ...]`."""
  return jax.tree.map(lambda x: x[index : index + 1], tree)


def _play(env, state, num_steps):
  """Plays random actions; states, actions, time steps with leading axes `[T, B]`."""
  seen = []
  for i in range(num_steps):
    action = _random(env, len(state.steps), seed=i)
    new, timestep = env.step(state, action)
    seen.append((state, action, timestep))
    state = new
  return jax.tree.map(lambda *x: np.stack(x), *seen)


def _expect_same_view(spec, theirs, timestep):
  """`timestep` holds one copy, without the axis B; contact forces are left out."""
  whole = theirs.state()
  np.testing.assert_allclose(timestep.state, whole[: spec.state_dim], atol=1e-5)
  sizes = []
  seen = theirs.map_global_state_to_local_observations(whole)
  for i, (agent, indices) in enumerate(theirs.observation_factorization.items()):
    np.testing.assert_array_equal(seen[agent], theirs._get_obs()[agent])
    wanted = seen[agent][indices < spec.state_dim]
    sizes.append(len(wanted))
    np.testing.assert_allclose(timestep.obs[i, : sizes[i]], wanted, atol=1e-5)
  assert spec.obs_sizes == tuple(sizes)


def _follow(spec, theirs, played):
  """Replays one copy with the other implementation until it ends.

  Both are brought together every 20 steps: the motion is chaotic, and Gymnasium's
  solver starts where it was, so that rounding differs.

  Returns:
    whether the robot fell, and how far the rewards were apart on average.
  """
  robot = theirs.single_agent_env.unwrapped
  num_qpos = robot.model.nq
  theirs.reset(seed=0)
  gaps = []
  for t in range(len(played[1])):
    state, action, timestep = jax.tree.map(lambda x, t=t: x[t], played)
    if t % 20 == 0:
      robot.set_state(state.physics[1 : 1 + num_qpos], state.physics[1 + num_qpos :])
    before = robot.data.qpos[0]
    actions = dict(zip(theirs.possible_agents, action, strict=True))
    _, rewards, ends, _, infos = theirs.step(actions)
    info, reward = infos["agent_0"], rewards["agent_0"]
    moved = (robot.data.qpos[0] - before) / robot.dt
    wanted = moved + info["reward_ctrl"] + info.get("reward_survive", 0.0)
    np.testing.assert_allclose(timestep.reward, wanted, atol=1e-5)
    gaps.append(abs(timestep.reward - reward + info.get("reward_contact", 0.0)))
    assert timestep.last == ends["agent_0"] == (timestep.discount == 0)
    _expect_same_view(spec, theirs, timestep)
    if timestep.last:
      break
  return bool(timestep.last), np.mean(gaps)


def test_equals_gymnasium_robotics(scenario, monkeypatch, tmp_path):
  env = base.make(f"mamujoco/{scenario}")
  theirs = _theirs(scenario, monkeypatch, tmp_path)
  start, _ = _reset(env, 8)
  start.physics[0, -env.spec.state_dim // 2 :] *= 30  # one that is thrown about
  played = _play(env, start, 100)
  ends, gaps = [], []
  for i in range(8):
    copy = jax.tree.map(lambda x, i=i: x[:, i], played)
    end, gap = _follow(env.spec, theirs, copy)
    ends.append(end)
    gaps.append(gap)
  assert any(ends) == (scenario != "halfcheetah-6x1")
  # Gymnasium's Ant takes its speed from the torso of the integrator's last stage.
  assert np.max(gaps) < (0.05 if scenario == "ant-2x4" else 1e-5)


def test_reset_is_gymnasiums(scenario, monkeypatch, tmp_path):
  env = base.make(f"mamujoco/{scenario}")
  theirs = _theirs(scenario, monkeypatch, tmp_path)
  theirs.reset(seed=3)
  _, timestep = _reset(env, 1, seed=3)
  # The same generator, drawn from in the same order.
  wanted = theirs.state()[: env.spec.state_dim].astype(np.float32)
  np.testing.assert_array_equal(timestep.state[0], wanted)
  _expect_same_view(env.spec, theirs, jax.tree.map(lambda x: x[0], timestep))
  assert timestep.discount == 1 and timestep.reward == 0 and not timestep.last


@pytest.mark.parametrize(
  "scenario, sizes",
  [
    ("hopper-3x1", (3, 9, 11, 1)),
    ("ant-2x4", (2, 21, 27, 4)),
    ("halfcheetah-6x1", (6, 9, 17, 1)),
    ("hopper-3x1-full", (3, 14, 11, 1)),
    ("ant-2x4-full", (2, 113, 111, 4)),
    ("halfcheetah-6x1-full", (6, 23, 17, 1)),
  ],
)
def test_sizes(scenario, sizes):
  env = base.make(f"mamujoco/{scenario}")
  spec = env.spec
  assert sizes == (spec.num_agents, spec.obs_dim, spec.state_dim, spec.action_dim)
  state, _ = _reset(env, 2)
  _, timestep = env.step(state, _random(env, 2))
  assert [(x.shape, x.dtype) for x in timestep] == [
    ((2, spec.num_agents, spec.obs_dim), np.float32),
    ((2, spec.state_dim), np.float32),
    ((2, spec.num_agents, spec.action_dim), bool),
    ((2,), np.float32),
    ((2,), np.float32),
    ((2,), bool),
    ((2,), bool),
  ]
  assert timestep.legal.all() and not timestep.won.any()


def test_padding_is_zero():
  env = base.make("mamujoco/halfcheetah-6x1")
  assert env.spec.obs_sizes == (9, 9, 8, 9, 9, 8)
  state, _ = _reset(env, 3)
  _, timestep = env.step(state, _random(env, 3))
  real = timestep.obs[:, env.spec.obs_mask]
  assert (timestep.obs[:, ~env.spec.obs_mask] == 0).all()
  assert (real != 0).all()


def test_full_observations_are_the_state_and_a_one_hot(scenario):
  part = base.make(f"mamujoco/{scenario}")
  full = base.make(f"mamujoco/{scenario}-full")
  _, timestep = _reset(full, 2)
  _, seen_in_part = _reset(part, 2)
  num = part.spec.state_dim
  np.testing.assert_array_equal(timestep.state[:, :num], seen_in_part.state)
  assert (timestep.state[:, num:] == 0).all()  # contact forces of Ant
  for i in range(full.spec.num_agents):
    agent = timestep.obs[:, i]
    np.testing.assert_array_equal(agent[:, : full.spec.state_dim], timestep.state)
    one_hot = np.eye(full.spec.num_agents)[i]
    np.testing.assert_array_equal(agent[0, full.spec.state_dim :], one_hot)


def test_full_actions_go_to_the_actuators_in_the_order_of_the_agents():
  part, full = base.make("mamujoco/ant-2x4"), base.make("mamujoco/ant-2x4-full")
  start, _ = _reset(part, 1)
  control = _random(full, 1)
  moved, _ = full.step(start, control)
  # Hips and ankles 1 to 4 are actuators 2 to 7, then 0 and 1.
  joints = control.reshape(-1)[[2, 3, 4, 5, 6, 7, 0, 1]].reshape(1, 2, 4)
  same, _ = part.step(start, joints)
  other, _ = part.step(start, control)
  np.testing.assert_array_equal(moved.physics, same.physics)
  assert np.abs(moved.physics - other.physics).max() > 1e-3


def test_neither_copies_nor_threads_change_a_bit(scenario):
  one, many = (mamujoco._make(scenario, num_threads) for num_threads in (1, 3))
  start, _ = _reset(one, 7)
  together = _play(one, start, 30)
  threaded = _play(many, start, 30)
  jax.tree.map(np.testing.assert_array_equal, together, threaded)
  state = _copy(start, 4)
  for i in range(30):
    before, action, timestep = jax.tree.map(lambda x, i=i: x[i, 4:5], together)
    jax.tree.map(np.testing.assert_array_equal, state, before)
    state, alone = many.step(state, action)
    jax.tree.map(np.testing.assert_array_equal, alone, timestep)


def test_time_limit_gives_discount_1():
  env = base.make("mamujoco/halfcheetah-6x1")
  state, _ = _reset(env, 2)
  state = state._replace(steps=np.array([998, 997], np.int32))
  action = _random(env, 2)
  state, timestep = env.step(state, action)
  assert not timestep.last.any()
  state, timestep = env.step(state, action)
  np.testing.assert_array_equal(timestep.last, [True, False])
  np.testing.assert_array_equal(timestep.discount, [1, 1])


def test_a_fall_at_the_time_limit_gives_discount_0():
  env = base.make("mamujoco/hopper-3x1")
  state, _ = _reset(env, 1)
  state.physics[0, 3] = 0.5  # pitch, in radians
  state = state._replace(steps=np.array([999], np.int32))
  _, timestep = env.step(state, _random(env, 1))
  assert timestep.last and timestep.discount == 0
  assert timestep.reward < 1  # no healthy reward on the step of a fall


def test_arguments_stay_as_they_are(scenario):
  env = base.make(f"mamujoco/{scenario}")
  state, _ = _reset(env, 3)
  action = 3 * _random(env, 3)
  given = jax.tree.map(np.copy, (state, action))
  new, timestep = env.step(state, action)
  jax.tree.map(np.testing.assert_array_equal, given, (state, action))
  env.step(new, action)
  again, timestep_again = env.step(state, action)
  jax.tree.map(np.testing.assert_array_equal, (new, timestep), (again, timestep_again))


def test_actions_are_clipped():
  env = base.make("mamujoco/ant-2x4")
  state, _ = _reset(env, 2)
  action = 3 * _random(env, 2)
  far, near = env.step(state, action), env.step(state, np.clip(action, -1, 1))
  jax.tree.map(np.testing.assert_array_equal, far, near)


def test_errors_name_what_is_allowed():
  with pytest.raises(ValueError, match="'ant-4x2' is not one of: hopper-3x1, ant"):
    mamujoco.make("ant-4x2")
  env = base.make("mamujoco/ant-2x4")
  state, _ = _reset(env, 2)
  with pytest.raises(ValueError, match=r"shape \(1, 2, 4\), not \(2, 2, 4\)"):
    env.step(state, _random(env, 1))


@pytest.mark.parametrize("package", ["gymnasium_robotics", "mujoco"])
def test_missing_package_is_named(package, monkeypatch):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(ImportError, match=r"pip install 'logo_jax\[mamujoco\]'"):
    mamujoco.make("hopper-3x1")


def test_making_a_robot_is_silent(tmp_path):
  code = "from logo_jax.envs import mamujoco; mamujoco.make('halfcheetah-6x1')"
  root = pathlib.Path(__file__).parents[2]
  ran = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(root)},
    capture_output=True,
    check=True,
  )
  assert (ran.stdout, ran.stderr) == (b"", b"")
  assert not list(tmp_path.iterdir())
