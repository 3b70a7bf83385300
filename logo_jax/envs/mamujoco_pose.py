"""Where the parts of robots are, by what is observed of them; nothing is rendered."""

import functools
from typing import Any, NamedTuple

import numpy as np

from logo_jax.envs import mamujoco
from logo_jax.envs import mamujoco_tasks as tasks

_GROUND = 0  # MuJoCo's number of the body that never moves


class Pose(NamedTuple):
  """G capsules and balls of T states, in metres; the robot is at the origin."""

  ends: np.ndarray  # [T, G, 2, 3], of their axes; z is up
  radius: np.ndarray  # [G]
  joint: np.ndarray  # int [G], the joint that moves it against the part before; -1 none


def pose(scenario: str, states: np.ndarray) -> Pose:
  """Puts a robot as states say, real or imagined ones.

  Args:
    scenario: one of `mamujoco.SCENARIOS`.
    states: [T, S]; where the robot is along the ground they do not say.

  Raises:
    ImportError: Gymnasium-Robotics or MuJoCo is not installed.
  """
  mujoco, _ = mamujoco._import()
  task = tasks.TASKS[scenario.removesuffix(mamujoco._FULL)]
  model = _model(scenario)
  data = mujoco.MjData(model)
  parts = np.flatnonzero(model.geom_bodyid != _GROUND)
  is_capsule = model.geom_type[parts] == mujoco.mjtGeom.mjGEOM_CAPSULE
  half = np.where(is_capsule, model.geom_size[parts, 1], 0.0)
  ends = []
  for state in np.asarray(states, np.float64):
    data.qpos[:] = 0.0
    data.qpos[task.skipped :] = state[: model.nq - task.skipped]
    mujoco.mj_kinematics(model, data)
    along = data.geom_xmat[parts].reshape(-1, 3, 3)[:, :, 2] * half[:, None]
    middle = data.geom_xpos[parts]
    ends.append(np.stack([middle - along, middle + along], 1))
  first = model.body_jntadr[model.geom_bodyid[parts]]
  root = np.count_nonzero(model.jnt_bodyid == model.jnt_bodyid[0])  # the torso's own
  radius = model.geom_size[parts, 0].copy()
  return Pose(np.stack(ends), radius, np.where(first < root, -1, first - root))


@functools.cache
def _model(scenario: str) -> Any:
  """MuJoCo's own, read from the robot's file once."""
  task = tasks.TASKS[scenario.removesuffix(mamujoco._FULL)]
  return mamujoco._make_robot(task).single_agent_env.unwrapped.model
