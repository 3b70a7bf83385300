"""Units where they stand: any game whose layout knows positions."""

from typing import Any, NamedTuple

import numpy as np

from logo_jax.layout import Layout
from logo_jax.watching import ground

ALLIES, ENEMIES, GREY = "#0072B2", "#D55E00", "#777777"
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p")
_SIZE = 130.0  # of a unit, square points
_WHOLE = 0.1  # health from which on a unit is not seen through


class Units(NamedTuple):
  """The E entities of a state."""

  position: np.ndarray  # [E, 2], in the environment's units
  health: np.ndarray  # [E], share of the whole; 1 where nothing is known of it
  there: np.ndarray  # bool [E]
  ally: np.ndarray  # bool [E], it belongs to an agent
  kind: np.ndarray  # int [E], which of the columns `type_<k>` is largest; 0 without


def has_positions(layout: Layout) -> bool:
  """Whether states of the layout can be drawn."""
  return any(column.axis == 0 for column in layout.state.columns)


def units(layout: Layout, state: np.ndarray) -> Units:
  """Reads a state, a real or an imagined one.

  Args:
    layout: of the game, which has positions; on a line, units stand in lanes.
    state: [S].
  """
  table, places = layout.state, layout.state.places
  entities = np.arange(layout.num_entities)

  def read(column: int) -> np.ndarray:
    place = places[:, column]
    return np.where(place >= 0, np.asarray(state, np.float64)[place], 0.0)

  axes = {column.axis: i for i, column in enumerate(table.columns)}
  y = read(axes[1]) if 1 in axes else -entities.astype(float)
  names = [column.name for column in table.columns]
  there = [read(table.column(name)) > 0 for name in table.presence]
  kinds = [i for i, name in enumerate(names) if name.startswith("type_")]
  health = read(names.index("health")) if "health" in names else np.ones(len(entities))
  return Units(
    position=np.stack([read(axes[0]), y], -1),
    health=np.clip(health, 0.0, 1.0),
    there=np.any(there, 0) if there else np.ones(len(entities), bool),
    ally=np.isin(entities, [e for own in layout.agents for e in own]),
    kind=np.argmax([read(i) for i in kinds], 0) if kinds else np.zeros_like(entities),
  )


def view(layout: Layout, states: np.ndarray) -> tuple[np.ndarray, float]:
  """The middle [2] and half the width of a square around all units of states [T, S]."""
  shown = [units(layout, state) for state in states]
  position = np.concatenate([x.position[x.there] for x in shown])
  if not len(position):
    return np.zeros(2), 1.0
  low, high = position.min(0), position.max(0)
  return (low + high) / 2, max(0.56 * float((high - low).max()), 1e-3) * 1.1


def targets(layout: Layout, action: np.ndarray) -> list[tuple[int, int]]:
  """Who attacks whom, pairs of entities, by a discrete joint action [N]."""
  points = layout.action_points
  pairs = [
    (own[0], points[i][int(a)])
    for i, (own, a) in enumerate(zip(layout.agents, action, strict=True))
  ]
  return [(agent, target) for agent, target in pairs if target >= 0]


def draw(
  axes: Any,
  layout: Layout,
  state: np.ndarray,
  within: tuple[np.ndarray, float],
  attacks: list[tuple[int, int]] | None = None,
  real: np.ndarray | None = None,
) -> None:
  """Draws a state; shapes tell types of units, a bar their health.

  Imagined units are expectations: one that may have died has little health and stands
  on the way to the origin, where the dead are. It fades as its health does.

  Args:
    axes: matplotlib's, empty.
    layout: of the game.
    state: [S], real or imagined.
    within: what `view` gives.
    attacks: what `targets` gives, lines from one to the other.
    real: the state that it should be, [S], outlined behind.
  """
  middle, half = within
  ground.lay(axes, middle, half)
  now = units(layout, state)
  if real is not None:
    _outline(axes, units(layout, real), now)
  for agent, target in attacks or []:
    if now.there[agent] and now.there[target]:
      ends = now.position[[agent, target]]
      axes.plot(*ends.T, color=ALLIES, linewidth=1.1, alpha=0.55, zorder=2)
  for e in np.flatnonzero(now.there):
    colour = ALLIES if now.ally[e] else ENEMIES
    shape = _SHAPES[now.kind[e] % len(_SHAPES)]
    alpha = min(float(now.health[e]) / _WHOLE, 1.0)
    axes.scatter(
      *(now.position[e, :1], now.position[e, 1:]),
      s=_SIZE,
      marker=shape,
      color=colour,
      edgecolors="white",
      linewidths=0.8,
      alpha=alpha,
      zorder=3,
    )
    _bar(axes, now.position[e], float(now.health[e]), half, (colour, alpha))


def legend(imagined: bool) -> list[Any]:
  """Handles of what colours mean, and the outlines of `draw` where there are any."""
  from matplotlib.lines import Line2D

  looks = [("agents", ALLIES, ALLIES), ("others", ENEMIES, ENEMIES)]
  if imagined:
    looks.append(("where it really is", "none", GREY))
  return [
    Line2D([], [], linestyle="", marker="o", mfc=face, mec=edge, label=label)
    for label, face, edge in looks
  ]


def _outline(axes: Any, real: Units, now: Units) -> None:
  """Where units really are, with a line from there to where they are thought to be."""
  for e in np.flatnonzero(real.there):
    axes.scatter(
      *(real.position[e, :1], real.position[e, 1:]),
      s=_SIZE,
      marker=_SHAPES[real.kind[e] % len(_SHAPES)],
      facecolors="none",
      edgecolors=GREY,
      linewidths=0.8,
      zorder=1,
    )
    if now.there[e]:
      ends = np.stack([real.position[e], now.position[e]])
      axes.plot(*ends.T, color=GREY, linewidth=0.8, zorder=1)


def _bar(
  axes: Any, at: np.ndarray, health: float, half: float, look: tuple[str, float]
) -> None:
  """Health above a unit, a share of a grey bar."""
  colour, alpha = look
  left, y, width = at[0] - 0.05 * half, at[1] + 0.062 * half, 0.1 * half
  for share, shade in ((1.0, "#C4C4C4"), (health, colour)):
    ends = [left, left + share * width]
    style: dict[str, Any] = {"linewidth": 2.4, "solid_capstyle": "butt", "zorder": 4}
    axes.plot(ends, [y, y], color=shade, alpha=alpha, **style)
