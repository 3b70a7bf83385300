"""Layouts of the robots: every feature is the one it is called, in the simulator."""

import numpy as np
import pytest

from logo_jax.envs import base, mamujoco
from tests.envs import layouts

pytest.importorskip("gymnasium_robotics")

_JOINTS = {
  "hopper-3x1": ("thigh_joint", "leg_joint", "foot_joint"),
  "ant-2x4": tuple(f"{part}_{i}" for i in range(1, 5) for part in ("hip", "ankle")),
  "halfcheetah-6x1": ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot"),
}
# Of the torso: the places in `qpos`, then in `qvel`.
_PLANAR = {"height": 1, "pitch": 2}, {"speed_x": 0, "speed_z": 1, "turn_y": 2}
_FREE = (
  {"height": 2, "turn_w": 3, "turn_i": 4, "turn_j": 5, "turn_k": 6},
  {
    **{f"speed_{axis}": i for i, axis in enumerate("xyz")},
    **{f"turn_{axis}": 3 + i for i, axis in enumerate("xyz")},
  },
)


def _layout(scenario):
  known = mamujoco.layout(scenario)
  assert known is not None
  return known


def _robot(scenario):
  task = mamujoco.tasks.TASKS[scenario.removesuffix("-full")]
  robot = mamujoco._make_robot(task)
  return task, robot, robot.single_agent_env.unwrapped.model


def _play(env, num_steps=3, num=2):
  """Physics, time steps `[T + 1, B, ...]`, actions `[T, B, N, A]`."""
  rng = np.random.default_rng(0)
  shape = (num_steps, num, env.spec.num_agents, env.spec.action_dim)
  action = rng.uniform(-1, 1, shape).astype(np.float32)
  state, timestep = env.reset(rng, num)
  physics, seen = [state.physics], [timestep]
  for a in action:
    state, timestep = env.step(state, a)
    physics.append(state.physics)
    seen.append(timestep)
  played = type(timestep)(*(np.stack(x) for x in zip(*seen, strict=True)))
  return np.stack(physics), played, action


def _place(scenario, model, entity, name):
  """Where a feature stands in `qpos` and `qvel` side by side; None for zeros."""
  if entity < len(_JOINTS[scenario]):
    joint = model.joint(_JOINTS[scenario][entity])
    if name == "angle":
      return joint.qposadr[0]
    return model.nq + joint.dofadr[0] if name == "velocity" else None
  pose, speed = _FREE if scenario == "ant-2x4" else _PLANAR
  return pose[name] if name in pose else model.nq + speed[name]


@pytest.mark.parametrize("scenario", mamujoco.SCENARIOS)
def test_features_are_what_they_are_called(scenario):
  env = base.make(f"mamujoco/{scenario}")
  layout, name = _layout(scenario), scenario.removesuffix("-full")
  assert env.spec.layout == base.layout(env.spec) == layout  # names each feature once
  physics, played, _ = _play(env)
  _, _, model = _robot(scenario)

  def expect(table, vector, agent):
    for entity, row in enumerate(table.index):
      for column, k in zip(table.columns, row, strict=True):
        if k < 0:
          continue
        if column.name == "observer":
          wanted = float(entity in layout.agents[agent])
        elif column.kind == "constant":
          wanted = 0.0
        else:
          at = _place(name, model, entity, column.name)
          assert at is not None
          wanted = physics[..., 1 + at]
        np.testing.assert_allclose(vector[..., k], wanted, atol=1e-6)

  expect(layout.state, played.state, 0)
  for i, table in enumerate(layout.obs):
    expect(table, played.obs[:, :, i], i)


@pytest.mark.parametrize("scenario", mamujoco.SCENARIOS)
def test_actions_point_at_the_joints_that_they_drive(scenario):
  layout = _layout(scenario)
  task, robot, model = _robot(scenario)
  views = (
    mamujoco._full_views if scenario.endswith("-full") else mamujoco._partial_views
  )
  flat = np.array(layout.action_points).ravel()
  joints = _JOINTS[scenario.removesuffix("-full")]
  for actuator, place in enumerate(views(task, robot).actuators):
    driven = model.joint(model.actuator_trnid[actuator, 0]).name
    assert joints[flat[place]] == driven
  assert layout.agents == layout.action_points


@pytest.mark.parametrize("scenario", ["hopper-3x1", "ant-2x4", "halfcheetah-6x1"])
def test_agents_see_the_velocities_of_their_own_joints_alone(scenario):
  layout = _layout(scenario)
  for own, table in zip(layout.agents, layout.obs, strict=True):
    moving = np.flatnonzero(table.places[:, table.column("velocity")] >= 0)
    assert set(moving) == set(own)


@pytest.mark.parametrize("scenario", mamujoco.SCENARIOS)
def test_vectors_turn_into_tokens_and_back(scenario):
  env = base.make(f"mamujoco/{scenario}")
  _, played, _ = _play(env)
  layouts.expect_round_trip(env.spec, played)


def test_world_models_read_them():
  env = base.make("mamujoco/ant-2x4-full")  # has features of all kinds
  _, played, action = _play(env)
  layouts.expect_learnable(env.spec, played, action)


def test_others_have_none():
  assert mamujoco.layout("walker-2x3") is None
