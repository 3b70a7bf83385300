"""What a plan would do, and how long it would take, before it begins."""

from collections.abc import Sequence
import os

from logo_jax.io.logging import say
from logo_jax.reporting import tables
from logo_jax.sweep import cells as cells_lib
from logo_jax.sweep import costs, pool, shares
from logo_jax.sweep.cells import Cell
from logo_jax.sweep.shares import WHOLE, Share


def text(
  plan: Sequence[Cell],
  root: str | os.PathLike[str],
  workers: int,
  share: Share = WHOLE,
) -> str:
  """A line for each cell and one for all.

  Args:
    plan: the cells.
    root: their folder.
    workers: processes side by side.
    share: whose cells they are, where several share the plan.
  """
  plan = shares.of_plan(plan, share)
  done = cells_lib.done(plan, root)
  seconds = pool.known_seconds(done, root, share)
  estimates = costs.estimates(plan, seconds)
  left = [cell for cell in plan if cell.name not in done]
  rows = []
  for cell in plan:
    state, cost = "to do", f"~ {costs.in_words(estimates[cell.name])}"
    if cell.name in done:
      known = seconds.get(cell.name)
      state, cost = "finished", costs.in_words(known) if known else ""
    rows.append({"cell": cell.name, "": state, "time": cost})
  total = sum(estimates[cell.name] for cell in left)
  whose = f"{share}: " if share.num > 1 else ""
  return (
    f"{tables.text_table(rows)}\n"
    f"{whose}{len(left)} of {len(plan)} cells to do, about "
    f"{costs.in_words(total / workers)} by {workers} at a time"
  )


def show(
  plan: Sequence[Cell],
  root: str | os.PathLike[str],
  workers: int,
  share: Share = WHOLE,
) -> None:
  """Says `text` on stderr."""
  say(text(plan, root, workers, share))
