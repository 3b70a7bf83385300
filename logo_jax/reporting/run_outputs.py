"""Reads what runs have left in their folders."""

from collections.abc import Sequence
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.checks import reading
from logo_jax.io import metric_lines
from logo_jax.reporting import statistics


def read_metrics(run_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
  """The lines of a run's metrics.jsonl, in order.

  The run may still be going on: a last line that is not complete yet is left out.

  Args:
    run_dir: the run's folder.

  Returns:
    A dict per line: phase, step, time, then the metrics, means over seeds, and with
    several seeds `by_seed`, a dict of their values; null reads as NaN.

  Raises:
    ValueError: the folder has no metrics, or a line is damaged.
  """
  path = pathlib.Path(run_dir) / "metrics.jsonl"
  if not path.exists():
    raise ValueError(f"run folder: {run_dir} holds no metrics.jsonl")
  return [row for _, row in metric_lines.read(path)]


def read_results(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
  """The results of a finished run.

  Raises:
    ValueError: the run has not finished, or the file is damaged.
  """
  return _read_json(pathlib.Path(run_dir) / "results.json", "has not finished")


def read_config(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
  """What a run was started with.

  Raises:
    ValueError: the folder holds no run, or the file is damaged.
  """
  return _read_json(pathlib.Path(run_dir) / "config.json", "is no run folder")


def curve(
  run_dirs: Sequence[str | os.PathLike[str]], metric: str, phase: str = "train"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The mean of a metric over runs, by step; ready for `figures.learning_curves`.

  Args:
    run_dirs: folders of runs; each seed of each of them is one independent run.
    metric: its name in metrics.jsonl.
    phase: the phase whose lines to read.

  Returns:
    Steps that every run has logged, the mean, and the half width of its 95% interval
    (NaN for a single seed), each of shape [steps].

  Raises:
    ValueError: the runs have no step of that metric in common.
  """
  by_run = [
    {
      row["step"]: row.get("by_seed", {}).get(metric, [row[metric]])
      for row in read_metrics(run_dir)
      if row["phase"] == phase and metric in row
    }
    for run_dir in run_dirs
  ]
  steps = sorted(set.intersection(*map(set, by_run))) if by_run else []
  if not steps:
    raise ValueError(
      f"metric: {metric!r} has no {phase} step that all {len(by_run)} runs share"
    )
  points = [
    statistics.mean_ci95([value for run in by_run for value in run[step]])
    for step in steps
  ]
  mean, ci = np.array(points).T
  return np.array(steps), mean, ci


def curve_by_share(
  run_dir: str | os.PathLike[str], updates: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A run's learning curve over the share of its updates, so that unlike ones compare.

  Args:
    run_dir: of the run.
    updates: all of them.
  """
  steps, mean, ci = curve([run_dir], "evaluation/return")
  return steps / updates, mean, ci


def read_dataset(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
  """What a run has kept of its dataset; see `data.carried`.

  Raises:
    ValueError: it has nothing.
  """
  return _read_json(pathlib.Path(run_dir) / "dataset.json", "has kept none")


def _read_json(path: pathlib.Path, otherwise: str) -> dict[str, Any]:
  missing = f"run folder: {path.parent} holds no {path.name}; it {otherwise}"
  return reading.json_file(path, missing)
