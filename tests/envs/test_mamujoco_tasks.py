"""The robots of multi-agent MuJoCo: how they start and when they fall."""

import sys

import jax
import numpy as np
import pytest

from logo_jax.envs import base, mamujoco
from logo_jax.envs import mamujoco_tasks as tasks

pytest.importorskip("gymnasium_robotics")


@pytest.mark.parametrize("scenario, height", [("hopper-3x1", 1), ("ant-2x4", 2)])
def test_falls_are_gymnasiums(scenario, height):
  robot = mamujoco._make_robot(tasks.TASKS[scenario]).single_agent_env.unwrapped
  rng = np.random.default_rng(0)
  qpos = rng.uniform(-0.3, 0.3, (300, robot.model.nq))
  qpos[:, height] = rng.uniform(0.0, 1.3, 300)
  qvel = rng.uniform(-20, 20, (300, robot.model.nv))
  qpos[:100, 2:3] = 0.9 if height == 2 else 0.0
  qpos[:100, 1:2] = 0.9
  qvel[:20, 0], qvel[20:40, -1] = 101.0, -101.0
  qpos[40:50, -1], qpos[50:60, 0], qvel[60:70, 3] = 100.5, 100.5, np.nan
  wanted = []
  for robot.data.qpos[:], robot.data.qvel[:] in zip(qpos, qvel, strict=True):
    wanted.append(bool(robot.is_healthy))
  found = tasks.TASKS[scenario].healthy(tasks.Motion(qpos, qvel))
  np.testing.assert_array_equal(found, wanted)
  assert 50 < sum(wanted) < 250


@pytest.mark.parametrize("scenario", mamujoco.SCENARIOS)
def test_the_rule_of_falls_is_what_the_simulator_does(scenario):
  env = base.make(f"mamujoco/{scenario}")
  found = base.termination_rule(env.spec.name)
  assert found is not None
  rule, rng = jax.jit(found), np.random.default_rng(0)
  state, _ = env.reset(rng, 100)
  state.physics[:10, -env.spec.num_agents :] *= 30  # thrown about
  num_falls = 0
  for _ in range(60):
    shape = (100, env.spec.num_agents, env.spec.action_dim)
    state, timestep = env.step(state, rng.uniform(-1, 1, shape))
    np.testing.assert_array_equal(1 - rule(timestep.state), timestep.discount)
    num_falls += (timestep.discount == 0).sum()
  assert (num_falls > 10) == ("halfcheetah" not in scenario)


@pytest.mark.parametrize(
  "scenario, feature, value, falls",
  [
    ("hopper-3x1", 0, 0.71, False),
    ("hopper-3x1", 0, 0.7, True),
    ("hopper-3x1", 0, np.nan, True),
    ("hopper-3x1", 1, -0.19, False),
    ("hopper-3x1", 1, -0.2, True),
    ("hopper-3x1", 4, 99.0, False),
    ("hopper-3x1", 4, -100.0, True),
    ("hopper-3x1-full", 0, 0.6, True),
    ("ant-2x4", 0, 0.2, False),
    ("ant-2x4", 0, 0.19, True),
    ("ant-2x4", 0, 1.0, False),
    ("ant-2x4", 0, 1.01, True),
    ("ant-2x4", 26, np.inf, True),
    ("ant-2x4-full", 0, 1.01, True),
    ("ant-2x4-full", 110, 5.0, False),
    ("halfcheetah-6x1", 0, -5.0, False),
  ],
)
def test_the_rule_of_falls_by_hand(scenario, feature, value, falls, monkeypatch):
  size = {"h": 11, "a": 27}[scenario[0]] if "cheetah" not in scenario else 17
  size += 84 * (scenario == "ant-2x4-full")
  monkeypatch.setitem(sys.modules, "mujoco", None)  # the rule does without
  rule = base.termination_rule(f"mamujoco/{scenario}")
  assert rule is not None
  state = np.zeros((2, size), np.float32)
  state[:, 0] = 0.9
  state[1, feature] = value
  np.testing.assert_array_equal(rule(state), [False, falls])
  with pytest.raises(ValueError, match=f"{scenario} have {size} features, not 3"):
    rule(state[:, :3])


@pytest.mark.parametrize("name", ["smax/2s3z", "mamujoco/walker", "og_marl/x", "", "x"])
def test_other_environments_have_no_rule(name):
  assert base.termination_rule(name) is None


@pytest.mark.parametrize("scenario", tasks.TASKS)
def test_reset_noise_is_independent_between_copies(scenario):
  env = base.make(f"mamujoco/{scenario}")
  state, _ = env.reset(np.random.default_rng(0), 500)
  noise = state.physics[:, 1:]
  correlation = np.corrcoef(noise, rowvar=False) - np.eye(noise.shape[1])
  assert np.abs(correlation).max() < 0.25
  scale = 5e-3 if scenario == "hopper-3x1" else 0.1
  positions = noise[:, :3].std(0)
  np.testing.assert_allclose(positions, scale / np.sqrt(3), rtol=0.1)
  velocity = scale / np.sqrt(3) if scenario == "hopper-3x1" else scale
  np.testing.assert_allclose(noise[:, -3:].std(0), velocity, rtol=0.1)
