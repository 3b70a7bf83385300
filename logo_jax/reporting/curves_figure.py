"""Learning curves of many datasets in one figure, as PNG and SVG."""

from collections.abc import Mapping
import math
import os

from logo_jax.reporting import figures
from logo_jax.reporting.figures import Curve, draw_curve, plain

_COLUMNS = 4


def draw(
  path: str | os.PathLike[str],
  panels: Mapping[str, Mapping[str, Curve]],
  references: Mapping[str, float],
  xlabel: str = "share of the updates",
) -> None:
  """Draws a panel for each dataset; a system looks the same in all of them.

  Args:
    path: without a suffix; `<path>.png` and `<path>.svg` are written.
    panels: title to system to (steps, mean, half width), see `figures.learning_curves`.
    references: title to the level of a dashed line, the data's mean.
    xlabel: what the steps are.

  Raises:
    ValueError: there are no panels.
  """
  if not panels:
    raise ValueError("panels: none are given; a figure needs at least one")
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  systems = list(dict.fromkeys(name for curves in panels.values() for name in curves))
  columns = min(_COLUMNS, len(panels))
  lines = math.ceil(len(panels) / columns)
  size = (3.0 * columns + 1.6, 2.5 * lines + 0.6)
  figure = Figure(figsize=size, dpi=130, layout="constrained")
  FigureCanvasAgg(figure)
  axes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
  for panel, (title, curves) in zip(axes, panels.items(), strict=False):
    for name, curve in curves.items():
      draw_curve(panel, systems.index(name), name, curve)
    if title in references:
      panel.axhline(references[title], color="#555555", linestyle=(0, (4, 3)))
    panel.set_title(title, loc="left", fontsize=9)
    plain(panel)
  for panel in axes[len(panels) :]:
    panel.set_visible(False)
  figure.supxlabel(f"{xlabel}; dashed: the data", fontsize=9)
  figure.supylabel("episode return", fontsize=9)
  known = {
    label: handle
    for panel in axes
    for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
  }
  figure.legend(
    [known[name] for name in systems], systems, loc="outside right upper", frameon=False
  )
  figures.save(figure, path)
