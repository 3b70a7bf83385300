"""Which games can be drawn, and how a state becomes a picture."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

from logo_jax.layout import Layout
from logo_jax.types import EnvSpec
from logo_jax.watching import battle, robot


class Scene(NamedTuple):
  """How the states of a game are drawn, all in the same view."""

  # (axes, state [S], the joint action that was taken there or None, the real state
  # behind an imagined one or None): draws it on empty axes.
  draw: Callable[[Any, Any, Any, Any], None]
  # Whether something is imagined -> matplotlib's handles of what is told apart.
  legend: Callable[[bool], list[Any]]


def check(spec: EnvSpec) -> None:
  """Refuses games of which no picture can be made.

  Raises:
    ValueError: naming the game.
  """
  layout = spec.layout
  if layout is None or not (_is_robot(spec) or battle.has_positions(layout)):
    raise ValueError(
      f"dataset: states of {spec.name} cannot be drawn: no layout says which of their "
      f"{spec.state_dim} features are positions; those of smax/... and mamujoco/... can"
    )


def make(spec: EnvSpec, states: Any) -> Scene:
  """The scene of a game.

  Args:
    spec: of the game, which `check` lets pass.
    states: [T, S], what is to be in view.
  """
  assert spec.layout is not None
  if _is_robot(spec):
    seen = robot.view(spec.name.partition("/")[2], states)
    return Scene(
      functools.partial(_draw_robot, spec.layout, seen),
      functools.partial(robot.legend, spec.layout),
    )
  within = battle.view(spec.layout, states)
  draw = functools.partial(_draw_battle, spec.layout, within)
  return Scene(draw, battle.legend)


def _is_robot(spec: EnvSpec) -> bool:
  return spec.name.startswith("mamujoco/")


def _draw_robot(  # noqa: PLR0913  what is always the same, and a `Scene`'s own
  layout: Layout, seen: robot.View, axes: Any, state: Any, action: Any, real: Any
) -> None:
  del action
  robot.draw(axes, layout, seen, state, real)


def _draw_battle(  # noqa: PLR0913  what is always the same, and a `Scene`'s own
  layout: Layout,
  within: tuple[Any, float],
  axes: Any,
  state: Any,
  action: Any,
  real: Any,
) -> None:
  attacks = None if action is None else battle.targets(layout, action)
  battle.draw(axes, layout, state, within, attacks, real)
