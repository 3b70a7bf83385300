"""The figure of how accurate world models are."""

from collections.abc import Mapping
import os
from typing import Any

import numpy as np

from logo_jax.io import files
from logo_jax.reporting.figures import Curve, draw_curve, plain

_TRUE, _PREDICTED, _GREY = "#999999", "#D55E00", "#555555"
_MOST_POINTS = 500  # of a panel

# Horizon to recorded and predicted states, [W, F] each, in standard deviations.
States = Mapping[int, tuple[np.ndarray, np.ndarray]]


def draw(
  path: str | os.PathLike[str],
  states: Mapping[str, States],
  errors: Mapping[str, Curve],
  references: Mapping[str, Mapping[str, float]],
  title: str = "",
) -> None:
  """Draws predicted beside recorded states, and errors against the horizon.

  All panels of states share two principal components, those of the recorded states at
  all horizons; a line joins a recorded state and its prediction.

  Args:
    path: the PNG to write, all of it or nothing.
    states: model to its states, at the same horizons for all; a model without any has
      empty panels.
    errors: model to (horizons, mean, half width), see `figures.learning_curves`.
    references: label to error by horizon, for example persistence and the floor.
    title: above everything; empty for none.

  Raises:
    ValueError: there are no models, or none has states.
  """
  recorded = [true for panels in states.values() for true, _ in panels.values()]
  if not recorded:
    raise ValueError("states: none are given; a figure needs at least one model's")
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  centre, axes_of_states, shares = principal_components(np.concatenate(recorded))
  horizons = sorted({h for panels in states.values() for h in panels})
  columns = max(len(states), 2)
  figure = Figure(
    figsize=(3.1 * columns + 1.2, 2.9 * len(horizons) + 3.6),
    dpi=130,
    layout="constrained",
  )
  canvas = FigureCanvasAgg(figure)
  parts: Any = figure.subfigures(2, 1, height_ratios=[2.9 * len(horizons), 3.6])
  above, below = parts
  panels = above.subplots(
    len(horizons), columns, sharex=True, sharey=True, squeeze=False
  )
  for column in range(columns):
    name = list(states)[column] if column < len(states) else None
    for row, h in enumerate(horizons):
      axes = panels[row, column]
      if name is None or h not in states[name]:
        axes.set_visible(False)
        continue
      points = [(x - centre) @ axes_of_states.T for x in states[name][h]]
      panel(axes, *points)
      axes.set_title(f"{name}, {_steps(h)}", fontsize=9)
  dress_panels(above, next(x for x in panels.flat if x.get_visible()), shares)
  _curves(below.subplots(), errors, references)
  if title:
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
  with files.replacing(path) as temporary:
    canvas.print_png(os.fspath(temporary))


def principal_components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The first two principal components of points.

  Args:
    x: [W, F].

  Returns:
    The mean [F], the directions [2, F] with the largest entry positive, and the shares
    of the variance [2]; of fewer than two features the second is 0.
  """
  centre = x.mean(0)
  _, s, vt = np.linalg.svd(x - centre, full_matrices=False)
  signs = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(1)])
  directions, shares = np.zeros((2, x.shape[1])), np.zeros(2)
  kept = min(2, len(s))
  directions[:kept] = (vt * signs[:, None])[:kept]
  shares[:kept] = (s**2 / max((s**2).sum(), 1e-12))[:kept]
  return centre, directions, shares


def panel(axes: Any, true: np.ndarray, predicted: np.ndarray) -> None:
  """Draws recorded points, [W, 2], predicted ones, and a line between each two."""
  keep = np.linspace(0, len(true) - 1, min(len(true), _MOST_POINTS)).astype(int)
  true, predicted = true[keep], predicted[keep]
  between = np.stack([true, predicted, np.full_like(true, np.nan)], 1).reshape(-1, 2)
  axes.plot(*between.T, color=_GREY, linewidth=0.3, alpha=0.4, rasterized=True)
  for points, colour, label in (
    (true, _TRUE, "recorded"),
    (predicted, _PREDICTED, "predicted"),
  ):
    axes.scatter(
      *points.T,
      s=6,
      color=colour,
      linewidths=0,
      alpha=0.7,
      label=label,
      rasterized=True,
    )


def dress_panels(figure: Any, first: Any, shares: np.ndarray) -> None:
  """Labels panels of states.

  Args:
    figure: that they are in.
    first: axes of `panel`, whose legend is that of all.
    shares: [2], of the variance.
  """
  x, y = (f"{100 * share:.0f}%" for share in shares)
  figure.supxlabel(
    f"states: first principal component, {x} of the variance", fontsize=9
  )
  figure.supylabel(f"second, {y}", fontsize=9)
  handles, labels = first.get_legend_handles_labels()
  figure.legend(handles, labels, loc="outside right", frameon=False, markerscale=2)


def _curves(
  axes: Any,
  errors: Mapping[str, Curve],
  references: Mapping[str, Mapping[str, float]],
) -> None:
  for i, (name, curve) in enumerate(errors.items()):
    draw_curve(axes, i, name, curve)
  for (label, by_horizon), line in zip(references.items(), ("--", ":"), strict=False):
    steps = [int(h) for h in by_horizon]
    axes.plot(steps, list(by_horizon.values()), line, color=_GREY, label=label)
  axes.set_xlabel("steps ahead")
  horizons = [np.asarray(curve[0]) for curve in errors.values()]
  axes.set_xticks(np.unique(np.concatenate(horizons)))
  axes.set_ylabel("state error, mean square\nin variances of the features")
  axes.set_ylim(bottom=0)
  plain(axes)
  axes.legend(
    loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0
  )


def _steps(count: int) -> str:
  return "1 step" if count == 1 else f"{count} steps"
