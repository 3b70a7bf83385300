"""Figures as files."""

from collections.abc import Mapping
import os
import pathlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from logo_jax.io import files

# Okabe and Ito's colours, told apart with every common colour blindness; their yellow
# is left out, too faint for a line on white. Line styles tell further curves apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_LINES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#555555"

Curve = tuple[ArrayLike, ArrayLike, ArrayLike | None]


def learning_curves(  # noqa: PLR0913  a figure's labels
  path: str | os.PathLike[str],
  curves: Mapping[str, Curve],
  reference: tuple[str, float] | None = None,
  ylabel: str = "episode return",
  title: str = "",
  xlabel: str = "learner updates",
) -> None:
  """Draws curves over learner updates, with a band for the confidence interval.

  Args:
    path: the PNG to write, all of it or nothing.
    curves: name to (steps, mean, half width of the interval), each of shape [steps]; a
      half width of None or NaN draws no band.
    reference: label and value of a dashed line, for example the dataset's mean return.
    ylabel: the metric and its unit.
    title: above the axes; empty for none.
    xlabel: what the steps are, where they are no updates.

  Raises:
    ValueError: there are no curves, or the parts of one differ in length.
  """
  _check(curves)
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  # A figure of its own canvas: pyplot would keep state and pick a backend.
  figure = Figure(figsize=(6.4, 4.0), dpi=160, layout="constrained")
  canvas = FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for i, (name, curve) in enumerate(curves.items()):
    draw_curve(axes, i, name, curve)
  if reference is not None:
    label, value = reference
    axes.axhline(value, color=_GREY, linestyle=(0, (4, 3)), linewidth=1.2, label=label)
  _dress(axes, ylabel, title)
  axes.set_xlabel(xlabel)
  with files.replacing(path) as temporary:
    canvas.print_png(os.fspath(temporary))


def _check(curves: Mapping[str, Curve]) -> None:
  if not curves:
    raise ValueError("curves: none are given; a figure needs at least one")
  for name, parts in curves.items():
    lengths = [np.size(part) for part in parts if part is not None]
    if len(set(lengths)) != 1:
      raise ValueError(f"curve {name!r}: lengths {lengths} are not allowed; make equal")


def draw_curve(axes: Any, index: int, name: str, curve: Curve) -> None:
  """Draws one curve with its band, in the look of its place among others."""
  steps, mean = (np.asarray(part, dtype=np.float64) for part in curve[:2])
  colour = _COLOURS[index % len(_COLOURS)]
  axes.plot(
    steps,
    mean,
    label=name,
    color=colour,
    linewidth=1.8,
    linestyle=_LINES[index // len(_COLOURS) % len(_LINES)],
    marker=_MARKERS[index % len(_MARKERS)],
    markersize=4,
    markevery=max(1, len(steps) // 10),
    zorder=3,
  )
  if curve[2] is not None:
    ci = np.asarray(curve[2], dtype=np.float64)
    axes.fill_between(
      steps, mean - ci, mean + ci, color=colour, alpha=0.15, linewidth=0
    )


def plain(axes: Any) -> None:
  """A faint grid behind what is drawn, and no box around it."""
  axes.grid(color="#DDDDDD", linewidth=0.6)
  axes.set_axisbelow(True)
  for side in ("top", "right"):
    axes.spines[side].set_visible(False)


def save(figure: Any, path: str | os.PathLike[str]) -> None:
  """Writes a figure with a canvas as `<path>.png` and `<path>.svg`.

  The same figure gives the same bytes.
  """
  import matplotlib

  path = pathlib.Path(path)
  for suffix in (".png", ".svg"):
    with files.replacing(path.with_name(path.name + suffix)) as temporary:
      with matplotlib.rc_context({"svg.hashsalt": "logo_jax"}):  # the same each time
        same = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(temporary, format=suffix[1:], metadata=same)


def _dress(axes: Any, ylabel: str, title: str) -> None:
  """Labels, grid, and a legend that covers no curve."""
  from matplotlib.ticker import EngFormatter, MaxNLocator

  axes.set_xlabel("learner updates")
  axes.set_ylabel(ylabel)
  axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
  axes.xaxis.set_major_formatter(EngFormatter(sep=""))
  axes.margins(x=0.02)
  plain(axes)
  if title:
    axes.set_title(title, loc="left", fontsize=11)
  axes.legend(
    loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0
  )
