"""Results in the shapes that rliable and marl-eval read."""

import collections
from collections.abc import Sequence
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
    System to scores [seeds, tasks], and the tasks' names: datasets, or a table's rows
    where it has several of one dataset. All systems have them; where few are common to
    all, those with least are left out, as long as more scores are kept by that. Seeds
    are as many as all have there.
  """
  found: dict[str, dict[str, list[float]]] = {}
  measured = [record for record in records if metric in record["measures"]]
  for record, task in zip(measured, _tasks(measured), strict=True):
    of_system = found.setdefault(record["system"], {})
    of_system[task] = record["measures"][metric]["seeds"]
  found, tasks = _in_common(found)
  if not tasks:
    return {}, []
  seeds = min(len(by_task[t]) for by_task in found.values() for t in tasks)
  arrays = {
    system: np.array([by_task[t][:seeds] for t in tasks], np.float64).T
    for system, by_task in found.items()
  }
  return arrays, tasks


def _in_common(found: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
  """The systems, at least two of several, that share most scores; and their tasks."""
  most = sorted(found, key=lambda system: len(found[system]), reverse=True)
  best: tuple[list[str], set[str]] = [], set()
  for n in range(min(2, len(most)) or 1, len(most) + 1):
    common = set.intersection(*(set(found[system]) for system in most[:n]))
    if n * len(common) >= len(best[0]) * len(best[1]):
      best = most[:n], common
  return {s: found[s] for s in found if s in best[0]}, sorted(best[1])


def _tasks(records: Sequence[Record]) -> list[str]:
  """What each record is a score on.

  Its dataset; and its row in a table, too, where a system has several of that dataset,
  as with other horizons, of which none may take the place of another.
  """
  count = collections.Counter((r["system"], r["dataset"]) for r in records)
  several = {dataset for (_, dataset), number in count.items() if number > 1}
  return [
    f"{r['dataset']}, {r['row']}"
    if r["dataset"] in several and "row" in r
    else r["dataset"]
    for r in records
  ]


def marl_eval(records: Sequence[Record]) -> dict[str, Any]:
  """The nested dict of marl-eval: environment, task, system, seed, figures.

  There is one evaluation, the last; what it measured is under `absolute_metrics` too.
  Tasks are those of `scores`.
  """
  found: dict[str, Any] = {}
  for record, name in zip(records, _tasks(records), strict=True):
    suite, _, task = name.partition("/")
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
