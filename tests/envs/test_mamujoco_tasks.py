"""The robots of multi-agent MuJoCo: how they start and when they fall."""

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
