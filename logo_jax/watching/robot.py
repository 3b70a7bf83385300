"""Robots as their joints have them: capsules, in the colour of the agent that moves."""

from typing import Any, NamedTuple

import numpy as np

from logo_jax.envs import mamujoco_pose
from logo_jax.layout import Layout
from logo_jax.watching import ground

_AGENTS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_TORSO, _REAL, _FLOOR = "#666666", "#D5D5D5", "#999999"
# From metres along x, y, z to the page: from the side, or aslant from above for robots
# that move in all directions.
_SIDE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
_ASLANT = np.array([[0.94, 0.34, 0.0], [-0.20, 0.54, 0.82]])


class View(NamedTuple):
  """How a robot is seen in all frames."""

  scenario: str
  project: np.ndarray  # [2, 3]
  middle: np.ndarray  # [2], on the page
  half: float  # half the width of what is seen


def view(scenario: str, states: np.ndarray) -> View:
  """A square around all poses of states [T, S]."""
  ends = mamujoco_pose.pose(scenario, states).ends
  flat = np.ptp(ends[..., 1]) < 1e-6
  project = _SIDE if flat else _ASLANT
  points = ends.reshape(-1, 3) @ project.T
  low, high = points.min(0), points.max(0)
  if flat:
    low[1] = min(low[1], 0.0)
  return View(scenario, project, (low + high) / 2, 0.6 * float((high - low).max()))


def draw(
  axes: Any, layout: Layout, seen: View, state: np.ndarray, real: np.ndarray | None
) -> None:
  """Draws a state.

  Args:
    axes: matplotlib's, empty and square.
    layout: of the robot.
    seen: what `view` gives.
    state: [S], real or imagined.
    real: the state that it should be, [S], in grey behind.
  """
  ground.lay(axes, seen.middle, seen.half)
  if seen.project is _SIDE:
    axes.axhline(0.0, color=_FLOOR, linewidth=1.0, zorder=0)
  states = [state] if real is None else [real, state]
  pose = mamujoco_pose.pose(seen.scenario, np.stack(states))
  # Lines are as thick as the parts: points for each metre.
  points = axes.bbox.width * 72 / axes.figure.dpi / (2 * seen.half)
  for k, ends in enumerate(pose.ends):
    behind = k < len(states) - 1
    for part, radius, joint in zip(ends, pose.radius, pose.joint, strict=True):
      axes.plot(
        *(part @ seen.project.T).T,
        color=_REAL if behind else _colour(layout, int(joint)),
        linewidth=2 * radius * points,
        solid_capstyle="butt",
        marker="o",  # round ends; of a ball nothing else is seen
        markersize=2 * radius * points,
        markeredgewidth=0,
        zorder=1 if behind else 2,
      )


def legend(layout: Layout, imagined: bool) -> list[Any]:
  """Handles of what colours mean."""
  from matplotlib.lines import Line2D

  looks = [(f"{i}", _AGENTS[i % len(_AGENTS)]) for i in range(len(layout.agents))]
  looks[0] = ("agent 0", looks[0][1])
  looks += [("real", _REAL)] * imagined
  return [
    Line2D([], [], linestyle="", marker="o", color=colour, label=label)
    for label, colour in looks
  ]


def _colour(layout: Layout, joint: int) -> str:
  """Of the agent that drives a joint; -1 is the torso."""
  owners = [i for i, own in enumerate(layout.agents) if joint in own]
  return _AGENTS[owners[0] % len(_AGENTS)] if owners else _TORSO
