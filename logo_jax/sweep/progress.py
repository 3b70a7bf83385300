"""How long cells that run have still to go, by what they have written so far."""

import contextlib
import os
import pathlib
import time

from logo_jax.io import metric_lines
from logo_jax.sweep.cells import Cell

_ROWS = 4  # of the last phase, whose pace counts


def seconds_left(cell: Cell, root: str | os.PathLike[str]) -> float | None:
  """What the rest of a cell takes at the pace of its last lines of metrics.

  Args:
    cell: one that runs.
    root: the folder of all cells.

  Returns:
    None before the last phase has shown a pace, and of cells that write no metrics.
  """
  phase, total = _last_phase(cell)
  path = pathlib.Path(root) / cell.name / "metrics.jsonl"
  points: list[tuple[int, float]] = []
  with contextlib.suppress(OSError, ValueError):  # of no account but for the estimate
    rows = [row for _, row in metric_lines.read(path)]
    points = [(x["step"], x["time"]) for x in rows if x["phase"] == phase][-_ROWS:]
  if len(points) < 2:
    return None
  (first, begun), (last, written) = points[0], points[-1]
  if last <= first:
    return None
  left = (total - last) * (written - begun) / (last - first)
  return max(left - (time.time() - written), 0.0)


def _last_phase(cell: Cell) -> tuple[str, int]:
  if cell.kind == "experiment":
    return "train", cell.config["total_updates"]
  if cell.kind == "fit":
    return "model", cell.config["fit"]["updates"]
  return "", 0
