"""Robots stand as MuJoCo's own simulation has them, and are drawn there."""

from matplotlib.figure import Figure
import numpy as np
import pytest

pytest.importorskip("gymnasium_robotics")

from logo_jax.envs import mamujoco, mamujoco_layout, mamujoco_pose
from logo_jax.watching import robot

# Hopper, upright: height 1.25 m; the radii and lengths of its file.
_UPRIGHT = np.zeros(11)
_UPRIGHT[0] = 1.25


def test_a_hopper_that_stands_upright():
  pose = mamujoco_pose.pose("hopper-3x1", _UPRIGHT[None])
  torso, thigh, leg, foot = pose.ends[0]
  assert pose.joint.tolist() == [-1, 0, 1, 2]
  np.testing.assert_allclose(pose.radius, [0.05, 0.05, 0.04, 0.06])
  # One above the other, from 1.45 m down to 0.1 m; the foot lies along x.
  for part, low, high in ((torso, 1.05, 1.45), (thigh, 0.6, 1.05), (leg, 0.1, 0.6)):
    np.testing.assert_allclose(sorted(part[:, 2]), [low, high], atol=1e-6)
    np.testing.assert_allclose(part[:, :2], 0.0, atol=1e-6)
  np.testing.assert_allclose(foot[:, 2], 0.1, atol=1e-6)
  np.testing.assert_allclose(np.ptp(foot[:, 0]), 0.39, atol=1e-6)


def test_a_thigh_that_turns_takes_the_leg_along():
  bent = _UPRIGHT.copy()
  bent[2] = -np.pi / 2  # the thigh's angle, about the y axis that points at us
  pose = mamujoco_pose.pose("hopper-3x1", bent[None])
  _, thigh, leg, _ = pose.ends[0]
  np.testing.assert_allclose(thigh[:, 2], 1.05, atol=1e-6)
  np.testing.assert_allclose(leg[:, 2], 1.05, atol=1e-6)
  np.testing.assert_allclose(np.ptp(thigh[:, 0]), 0.45, atol=1e-6)


@pytest.mark.parametrize(
  ("scenario", "parts", "joints"),
  [("ant-2x4", 13, 8), ("halfcheetah-6x1", 8, 6), ("hopper-3x1-full", 4, 3)],
)
def test_every_joint_moves_a_part(scenario, parts, joints):
  env = mamujoco.make(scenario)
  _, first = env.reset(np.random.default_rng(0), 2)
  pose = mamujoco_pose.pose(scenario, np.asarray(first.state))
  assert pose.ends.shape == (2, parts, 2, 3)
  assert sorted(set(pose.joint.tolist())) == [*range(-1, joints)]


def test_parts_are_drawn_in_their_places_and_colours():
  layout = mamujoco_layout.layout("hopper-3x1")
  assert layout is not None
  seen = robot.view("hopper-3x1", _UPRIGHT[None])
  axes = Figure().add_axes((0, 0, 1, 1))
  robot.draw(axes, layout, seen, _UPRIGHT, _UPRIGHT)
  ground, *lines = axes.lines
  assert np.asarray(ground.get_ydata()).tolist() == [0.0, 0.0]
  assert len(lines) == 8  # the real one behind, then the imagined one
  colours = [line.get_color() for line in lines[4:]]
  assert colours == ["#666666", "#0072B2", "#D55E00", "#009E73"]
  np.testing.assert_allclose(sorted(np.asarray(lines[4].get_ydata())), [1.05, 1.45])
