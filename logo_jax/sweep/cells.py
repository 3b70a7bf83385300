"""The pieces of work that a plan is made of."""

from collections.abc import Iterable, Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any, Literal

from logo_jax.checks import reading, schema
from logo_jax.data import source
from logo_jax.io import files
from logo_jax.reporting import results, run_outputs

# What a finished cell has left in its folder.
_MARKS = {
  "fit": "fit.json",
  "experiment": "results.json",
  "model_error": "model_error.json",
  "model_step": "model_step.json",
  "model_states": "model_states.json",
  "visits": "visits.json",
}


@dataclasses.dataclass(frozen=True)
class Cell:
  """One piece of work; it can be stopped at any time and goes on where it was."""

  name: str  # one of its own; its folder below that of all
  # A dataset to be made; a world model to be fitted; a policy to be trained and played;
  # a fitted model to be measured; the cost of imagined steps to be timed; what a fitted
  # model says of states; states that a trained policy visits.
  kind: Literal[
    "data", "fit", "experiment", "model_error", "model_step", "model_states", "visits"
  ]
  config: dict[str, Any]  # what it is started with, as JSON holds it
  needs: tuple[str, ...] = ()  # names of cells that must be finished before
  alone: bool = False  # nothing else may run meanwhile


def finished(cell: Cell, root: str | os.PathLike[str]) -> bool:
  """Whether there is nothing left to do.

  Args:
    cell: which.
    root: the folder of all cells.
  """
  if cell.kind == "data":
    return not source.is_missing(cell.config["dataset"], cell.config["data_dir"])
  path = mark(cell, root)
  if cell.kind != "experiment" or not path.exists():
    return path.exists()
  try:
    results.check(run_outputs.read_results(path.parent), str(path))
  except ValueError:  # damaged; the run makes it again
    return False
  return True


def done(plan: Iterable[Cell], root: str | os.PathLike[str]) -> set[str]:
  """Names of the cells that are finished; looks at the files of all."""
  return {cell.name for cell in plan if finished(cell, root)}


def mark(cell: Cell, root: str | os.PathLike[str]) -> pathlib.Path:
  """The file that a finished cell has written last; of all but data."""
  return folder(cell, root) / _MARKS[cell.kind]


def folder(cell: Cell, root: str | os.PathLike[str]) -> pathlib.Path:
  """Where a cell works."""
  return pathlib.Path(root) / cell.name


def slug(name: str) -> str:
  """A name as one that a file can have."""
  return name.replace("/", "-").replace(" ", "-")


def write(cell: Cell, root: str | os.PathLike[str]) -> pathlib.Path:
  """Writes down what a worker is to do; returns the file."""
  path = pathlib.Path(root) / "cells" / f"{slug(cell.name)}.json"
  files.write_json(path, {"root": str(root)} | dataclasses.asdict(cell))
  return path


def read(path: str | os.PathLike[str]) -> tuple[Cell, pathlib.Path]:
  """The inverse of `write`.

  Returns:
    The cell, and the folder of all.

  Raises:
    ValueError: the file is damaged.
  """
  values = reading.json_file(path)
  root = pathlib.Path(values.pop("root", "."))
  return schema.build(Cell, values, f"{path}: "), root


def merged(cells: Iterable[Cell]) -> list[Cell]:
  """The same without those that are there twice, in order.

  Fits of one name are one fit, whoever needs it.

  Raises:
    ValueError: two cells of one name are not the same.
  """
  found: dict[str, Cell] = {}
  for cell in cells:
    known = found.setdefault(cell.name, cell)
    if known != cell and cell.kind != "fit":
      key = _difference(known.config, cell.config)
      raise ValueError(f"{cell.name}: two of this name differ in {key}; label one")
  return list(found.values())


def _difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
  keys = [k for k in a if json.dumps(a[k]) != json.dumps(b.get(k, ...), default=str)]
  return keys[0] if keys else "what they need"
