"""Figures over many datasets at once, as Agarwal et al. (NeurIPS 2021) advise.

Scores are `[seeds, tasks]`. Intervals are of the bootstrap stratified by task: seeds
are drawn anew, with replacement, for each task by itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from logo_jax.reporting import export
from logo_jax.reporting.records import Record

Scores = np.ndarray


def iqm(scores: Scores) -> float:
  """The interquartile mean: of what is left without a quarter at either end.

  Args:
    scores: [seeds, tasks]; all are one sample. Of n scores floor(n / 4) fall at each
      end.
  """
  ordered = np.sort(np.asarray(scores, np.float64).ravel())
  cut = len(ordered) // 4
  return float(ordered[cut : len(ordered) - cut].mean())


def profile(scores: Scores, thresholds: np.ndarray) -> np.ndarray:
  """The share of scores above each threshold; the run-score performance profile.

  Args:
    scores: [seeds, tasks].
    thresholds: [T].

  Returns:
    [T], from 0 to 1.
  """
  flat = np.asarray(scores, np.float64).ravel()
  return (flat[None] > np.asarray(thresholds)[:, None]).mean(1)


def probability_of_improvement(x: Scores, y: Scores) -> float:
  """How likely a run of x is better than one of y, on a task drawn at random.

  The mean over tasks of P(x > y) + P(x = y) / 2, over all pairs of seeds.

  Args:
    x: [seeds, tasks].
    y: [seeds, tasks], of the same tasks; there may be other many seeds.

  Raises:
    ValueError: the tasks are not as many.
  """
  if x.shape[1] != y.shape[1]:
    raise ValueError(
      f"scores: of {x.shape[1]} tasks and of {y.shape[1]}; must be equal"
    )
  above = x[:, None] > y[None]
  equal = x[:, None] == y[None]
  return float((above + 0.5 * equal).mean())


def bootstrap_ci95(
  statistic: Callable[..., float], *scores: Scores, repeats: int = 2_000, seed: int = 0
) -> tuple[float, float]:
  """The 95% interval of a statistic by the percentiles of a stratified bootstrap.

  Args:
    statistic: of scores.
    *scores: [seeds, tasks] each.
    repeats: samples.
    seed: of their draws.
  """
  rng = np.random.default_rng(seed)
  found = np.empty(repeats)
  for i in range(repeats):
    drawn = [
      x[rng.integers(len(x), size=x.shape), np.arange(x.shape[1])] for x in scores
    ]
    found[i] = statistic(*drawn)
  low, high = np.quantile(found, [0.025, 0.975])
  return float(low), float(high)


def rows(records: Sequence[Record], least_seeds: int = 2) -> list[dict[str, Any]]:
  """A row for each system: interquartile mean and interval of normalised returns.

  Args:
    records: of any systems and datasets; those of `export.scores` count. Where a system
      has several of one dataset, as of several horizons, there are no rows: their mean
      would be of settings, not of datasets.
    least_seeds: with fewer there are no rows.
  """
  arrays, tasks = export.scores(records)
  if not arrays or min(len(x) for x in arrays.values()) < least_seeds:
    return []
  if not set(tasks) <= {record["dataset"] for record in records}:
    return []
  made = []
  for system, scores in arrays.items():
    low, high = bootstrap_ci95(iqm, scores)
    interval = f"{iqm(scores):.2f} ({low:.2f} to {high:.2f})"
    made.append({"system": system, "IQM": interval, "datasets": len(tasks)})
  return made
