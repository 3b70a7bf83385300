"""Results in the shapes that rliable and marl-eval read."""

from collections.abc import Iterable, Sequence
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.io import files
from logo_jax.reporting.records import Record


def scores(
  records: Sequence[Record], metric: str = "normalised"
) -> tuple[dict[str, np.ndarray], list[str]]:
  """Each system's scores as rliable has them.

  Args:
    records: of any systems and datasets.
    metric: which measure.

  Returns:
    System to scores [seeds, tasks], and the tasks' names: those datasets that all
    systems have; seeds are as many as all have there.
  """
  found: dict[str, dict[str, list[float]]] = {}
  for record in records:
    if metric in record["measures"]:
      of_system = found.setdefault(record["system"], {})
      of_system[record["dataset"]] = record["measures"][metric]["seeds"]
  tasks = sorted(set.intersection(*map(set, found.values()))) if found else []
  if not tasks:
    return {}, []
  seeds = min(len(by_task[t]) for by_task in found.values() for t in tasks)
  arrays = {
    system: np.array([by_task[t][:seeds] for t in tasks], np.float64).T
    for system, by_task in found.items()
  }
  return arrays, tasks


def marl_eval(records: Iterable[Record]) -> dict[str, Any]:
  """The nested dict of marl-eval: environment, task, system, seed, figures.

  There is one evaluation, the last; what it measured is under `absolute_metrics` too.
  """
  found: dict[str, Any] = {}
  for record in records:
    suite, _, task = record["dataset"].partition("/")
    by_seed = found.setdefault(suite, {}).setdefault(task or suite, {})
    runs = by_seed.setdefault(record["system"], {})
    for i in range(record["num_seeds"]):
      figures = {k: [m["seeds"][i]] for k, m in record["measures"].items()}
      last = {"step_count": record["updates"], "elapsed_time": record["seconds"]}
      runs[f"seed_{record['seed'] + i}"] = {
        "step_0": last | figures,
        "absolute_metrics": figures,
      }
  return found


def write(folder: str | os.PathLike[str], records: Sequence[Record]) -> None:
  """Writes scores.npz and scores.json for rliable, marl_eval.json for marl-eval.

  Returns are normalised where that is possible for any, else plain.
  """
  folder = pathlib.Path(folder)
  plain = not any("normalised" in record["measures"] for record in records)
  metric = "return" if plain else "normalised"
  arrays, tasks = scores(records, metric)
  if arrays:
    with files.replacing(folder / "scores.npz") as temporary:
      with temporary.open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
  about = {"metric": metric, "tasks": tasks, "scores": arrays}
  files.write_json(folder / "scores.json", about)
  files.write_json(folder / "marl_eval.json", marl_eval(records))
