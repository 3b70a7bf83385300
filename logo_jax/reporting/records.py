"""One schema of results: what a cell of a table has come to, and the long table of all.

A record is a small dict that JSON holds, good for version control:

system, dataset           whose figures these are
budget                    the name of how much work there was
updates, fit_updates      of the learner and of the world model
seed, num_seeds           the first seed, and how many runs
measures                  name to mean, ci95 (half width; null where unknown), seeds (a
                          value each) and over, what the interval is over
curve                     of the return: share of the updates, mean, ci95; {} if unknown
data                      the dataset: return, return_ci95, random, expert (returns of
                          random and of the expert's play), as far as known
dataset_hash, config_hash of the data's content; of all that was configured but paths
                          and loggers
versions, device, seconds
command                   that gives it
"""

from collections.abc import Iterable, Mapping
import csv
import hashlib
import io
import json
import os
import pathlib
from typing import Any

from logo_jax.checks import reading
from logo_jax.io import files
from logo_jax.reporting import run_outputs

Record = Mapping[str, Any]
COLUMNS: tuple[str, ...] = (
  "dataset",
  "system",
  "seed",
  "metric",
  "value",
  "budget",
  "updates",
  "fit_updates",
  "version",
  "dataset_hash",
  "config_hash",
)
# Of a configuration; they say nothing of results.
_ASIDE = ("data_dir", "model_run", "loggers")


def of_run(
  run_dir: str | os.PathLike[str], budget: str = "", command: str = ""
) -> dict[str, Any]:
  """The record of a finished run.

  Args:
    run_dir: the run's folder.
    budget: what it is called.
    command: that gives the same.

  Raises:
    ValueError: the run has not finished, or a file is damaged.
  """
  results, config = run_outputs.read_results(run_dir), run_outputs.read_config(run_dir)
  data = _data(results, run_outputs.read_dataset(run_dir).get("card", {}))
  return {
    "system": results["preset"],
    "dataset": results["dataset"],
    "budget": budget,
    "updates": results["updates"],
    "fit_updates": config["fit"]["updates"] if config.get("model") else 0,
    "seed": results["seed"],
    "num_seeds": results["num_seeds"],
    "measures": _measures(results, data),
    "data": data,
    "curve": _curve(run_dir, results["updates"]),
    "dataset_hash": config.get("dataset_hash", ""),
    "config_hash": config_hash(config),
    "versions": results["versions"],
    "device": results["device"],
    "seconds": round(sum(results["seconds"].values()), 1),
    "command": command,
  }


def config_hash(config: Mapping[str, Any]) -> str:
  """Of all that a run was started with but paths and loggers: 12 hexadecimal digits."""
  values = {k: v for k, v in config.items() if k not in _ASIDE}
  return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def normalised(value: float, data: Mapping[str, Any]) -> float | None:
  """A return where 0 is random play, 1 the expert's; None where they are unknown."""
  low, high = data.get("random"), data.get("expert")
  if low is None or high is None or high == low:
    return None
  return (value - low) / (high - low)


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
  """The long table: a row for each record, measure and seed, with `COLUMNS`."""
  found = []
  for record in records:
    same = {k: record.get(k, "") for k in COLUMNS}
    same["version"] = record.get("versions", {}).get("logo_jax", "")
    for metric, measure in record["measures"].items():
      for i, value in enumerate(measure["seeds"]):
        of_seed = {"seed": record["seed"] + i, "metric": metric, "value": value}
        found.append(same | of_seed)
  return found


def write_csv(path: str | os.PathLike[str], records: Iterable[Record]) -> None:
  """Writes the long table, all of it or nothing: `pandas.read_csv(path)` reads it."""
  text = io.StringIO()
  writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows(records))
  files.write_text(path, text.getvalue())


def read_folder(folder: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
  """The records of a folder, by the names of their files without ".json", in order.

  Raises:
    ValueError: a file is damaged.
  """
  found: dict[str, dict[str, Any]] = {}
  for path in sorted(pathlib.Path(folder).glob("*.json")):
    record = reading.json_file(path)
    if not isinstance(record.get("measures"), dict) or "system" not in record:
      raise ValueError(f"{path} is no record: it must have system and measures")
    found[path.stem] = record
  return found


def _measures(results: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
  found: dict[str, Any] = {}
  if "return_mean" not in results:
    return found
  seeds, over = results["return_by_seed"], results["ci95_over"]
  mean, ci = results["return_mean"], results["return_ci95"]
  found["return"] = {"mean": mean, "ci95": ci, "seeds": seeds, "over": over}
  share = normalised(mean, data)
  if share is not None:
    width = data["expert"] - data["random"]
    found["normalised"] = {
      "mean": share,
      "ci95": None if ci is None else ci / abs(width),
      "seeds": [normalised(x, data) for x in seeds],
      "over": over,
    }
  if "win_rate" in results:
    low, high = results["win_rate_ci95"]
    found["win_rate"] = {
      "mean": results["win_rate"],
      "ci95": (high - low) / 2,
      "seeds": results["win_rate_by_seed"],
      "over": over,
    }
  return found


def _curve(run_dir: str | os.PathLike[str], updates: int) -> dict[str, list[float]]:
  try:
    points = run_outputs.curve_by_share(run_dir, updates)
  except ValueError:  # policies were not played
    return {}
  return dict(zip(("share", "mean", "ci95"), (x.tolist() for x in points), strict=True))


def _data(results: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
  names = ("dataset_return", "dataset_return_ci95", "dataset_win_rate")
  found = {k.removeprefix("dataset_"): results[k] for k in names if k in results}
  behaviour = card.get("behaviour")
  if isinstance(behaviour, Mapping):
    for key in ("random", "expert"):
      if behaviour.get(f"{key}_return") is not None:
        found[key] = behaviour[f"{key}_return"]
  return found
