"""Pictures of the paper's figures, each of a few numbers, as PNG and SVG."""

from collections.abc import Mapping
import math
import os
from typing import Any, NamedTuple

import numpy as np

from logo_jax.reporting import figures, model_figure
from logo_jax.reporting.figures import Curve, draw_curve, plain

_COLUMNS = 4
_GREY, _FAINT, _BLUE = "#555555", "#CCCCCC", "#0072B2"

# Label to a mean and the half width of its interval, None where that is not known.
Means = Mapping[str, tuple[float, float | None]]


class Motivation(NamedTuple):
  """What Figure 1 shows."""

  errors: Mapping[str, Mapping[str, Curve]]  # panel to system to error by steps ahead
  persistence: Mapping[int, float]  # the error of predicting no change, by steps
  returns: Means  # of systems
  data_return: float | None  # the mean of the data's episodes


class Points(NamedTuple):
  """A panel of states on two components."""

  title: str
  first: np.ndarray  # [2, P], true ones or the data's
  second: np.ndarray  # [2, P] predicted ones, or [3, P] visited ones with their rewards


def motivation(path: str | os.PathLike[str], shown: Motivation, title: str) -> None:
  """Draws Figure 1: a panel of errors for each model, and one of returns.

  Args:
    path: without a suffix; `<path>.png` and `<path>.svg` are written.
    shown: what is known, of which something is there.
    title: above everything.
  """
  num = len(shown.errors) + bool(shown.returns)
  figure = _figure((3.4 * num + 0.6, 3.6), title)
  axes = figure.subplots(1, num, squeeze=False)[0]
  names = [f"({letter})" for letter in "abcdefgh"]
  top = 0.0
  for panel, (model, curves) in zip(axes, shown.errors.items(), strict=False):
    for i, (system, curve) in enumerate(curves.items()):
      draw_curve(panel, i, system, curve)
    steps = list(shown.persistence)
    panel.plot(steps, list(shown.persistence.values()), "--", color=_GREY)
    panel.set_xticks(steps)
    panel.set_xlabel("steps ahead; dashed: no change")
    panel.set_title(f"{names.pop(0)} {model}", loc="left", fontsize=10)
    panel.legend(loc="lower right", frameon=False)
    plain(panel)
    top = max(top, panel.get_ylim()[1])
  for panel in axes[: len(shown.errors)]:
    panel.set_ylim(0.0, top)
  if shown.errors:
    axes[0].set_ylabel("state error, RMSE in standard deviations", fontsize=9)
  if shown.returns:
    _returns(axes[-1], shown.returns, shown.data_return)
    axes[-1].set_title(f"{names[0]} returns", loc="left", fontsize=10)
  figures.save(figure, path)


def predicted(
  path: str | os.PathLike[str],
  panels: list[Points],
  shares: np.ndarray,
  title: str,
) -> None:
  """Draws Figure 3: true and predicted states, a panel for each model.

  Args:
    path: without a suffix; `<path>.png` and `<path>.svg` are written.
    panels: one at least.
    shares: [2], of the variance that the components have.
    title: above everything.
  """
  figure, axes = _grid(len(panels), title)
  for panel, points in zip(axes, panels, strict=False):
    model_figure.panel(panel, points.first.T, points.second.T)
    panel.set_title(points.title, fontsize=9)
  model_figure.dress_panels(figure, axes[0], shares)
  figures.save(figure, path)


def visited(
  path: str | os.PathLike[str],
  panels: list[Points],
  shares: np.ndarray,
  title: str,
) -> None:
  """Draws Figure 4: states visited, coloured by reward, a panel for each system.

  Args:
    path: without a suffix; `<path>.png` and `<path>.svg` are written.
    panels: one at least.
    shares: [2], of the variance that the components have.
    title: above everything.
  """
  figure, axes = _grid(len(panels), title)
  rewards = np.concatenate([points.second[2] for points in panels])
  # Rare rewards, as of victories, would leave all others one colour.
  low, high = rewards.min(), np.quantile(rewards, 0.98)
  drawn: Any = None
  for panel, points in zip(axes, panels, strict=False):
    panel.scatter(
      *points.first, s=5, color=_FAINT, linewidths=0, label="recorded", rasterized=True
    )
    x, y, reward = points.second[:, np.argsort(points.second[2], kind="stable")]
    drawn = panel.scatter(
      *(x, y),
      c=reward,
      s=9,
      cmap="viridis",
      vmin=low,
      vmax=max(high, low + 1e-6),
      linewidths=0,
      rasterized=True,
    )
    panel.set_title(points.title, fontsize=9)
  model_figure.dress_panels(figure, axes[0], shares)
  figure.colorbar(drawn, ax=list(axes), label="reward of the step", pad=0.01)
  figures.save(figure, path)


def _returns(axes: Any, returns: Means, data_return: float | None) -> None:
  names = list(returns)
  places = np.arange(len(names))[::-1]
  mean = [returns[name][0] for name in names]
  width = [returns[name][1] or 0.0 for name in names]
  axes.errorbar(mean, places, xerr=width, fmt="o", color=_BLUE, capsize=3)
  if data_return is not None:
    axes.axvline(data_return, color=_GREY, linestyle=(0, (4, 3)), linewidth=1.2)
  axes.set_yticks(places, names)
  axes.set_ylim(-0.5, len(names) - 0.5)
  axes.set_xlabel("episode return; dashed: the data")
  plain(axes)


def _grid(num: int, title: str) -> tuple[Any, Any]:
  """A figure and its `num` axes, which share their limits."""
  columns = min(_COLUMNS, num)
  lines = math.ceil(num / columns)
  figure = _figure((max(7.0, 2.7 * columns + 1.8), 2.7 * lines + 0.9), title)
  axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
  for panel in axes.ravel()[num:]:
    panel.set_visible(False)
  return figure, axes.ravel()[:num]


def _figure(size: tuple[float, float], title: str) -> Any:
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  # A figure of its own canvas: pyplot would keep state and pick a backend.
  figure = Figure(figsize=size, dpi=130, layout="constrained")
  FigureCanvasAgg(figure)
  figure.suptitle(title, x=0.01, ha="left", fontsize=11)
  return figure
