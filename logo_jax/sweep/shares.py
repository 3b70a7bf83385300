"""Several processes, on one host or on many, that work one plan off.

They do not talk: each knows from the plan which cells are its own.
"""

from collections.abc import Mapping, Sequence
import os
from typing import NamedTuple

from logo_jax.sweep.cells import Cell


class Share(NamedTuple):
  """Which of several processes this is."""

  process: int = 0  # from 0
  num: int = 1

  def __str__(self) -> str:
    return f"process {self.process} of {self.num}"


WHOLE = Share()  # of a process alone


def told(
  num_processes: int | None = None,
  process_id: int | None = None,
  environ: Mapping[str, str] = os.environ,
) -> Share:
  """The share that flags say, or else `srun`, which has started several tasks.

  Args:
    num_processes: how many there are; 1 is a process alone, under `srun` as well.
    process_id: which one of them this is, from 0.
    environ: the environment's variables.

  Raises:
    ValueError: a number is missing or not allowed.
  """
  if num_processes is None and process_id is None:
    tasks = int(environ.get("SLURM_STEP_NUM_TASKS", 1))
    return Share(int(environ.get("SLURM_PROCID", 0)), tasks) if tasks > 1 else WHOLE
  if num_processes is None:
    raise ValueError("num_processes: is missing; process_id goes with it")
  if num_processes < 1:
    raise ValueError(f"num_processes: {num_processes} is not allowed; at least 1 is")
  if process_id is None and num_processes > 1:
    raise ValueError("process_id: is missing; num_processes goes with it")
  process_id = process_id or 0
  if not 0 <= process_id < num_processes:
    raise ValueError(
      f"process_id: {process_id} is not allowed; 0 to {num_processes - 1} are"
    )
  return Share(process_id, num_processes)


def of_plan(plan: Sequence[Cell], share: Share) -> list[Cell]:
  """The cells of one process, in the plan's order.

  Cells that need one another, or the same ones, stay together: those of a dataset. The
  first process takes the first of these groups, the next one the second, and so on.
  """
  groups: dict[str, int] = {}
  for cell in plan:
    together = {groups[name] for name in cell.needs if name in groups}
    group = min(together, default=max(groups.values(), default=-1) + 1)
    groups = {name: group if g in together else g for name, g in groups.items()}
    groups[cell.name] = group
  order = {g: i for i, g in enumerate(dict.fromkeys(groups.values()))}
  return [c for c in plan if order[groups[c.name]] % share.num == share.process]
