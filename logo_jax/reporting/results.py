"""Rows of result tables, from what results.json holds."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

from logo_jax.checks import schema


@dataclasses.dataclass(frozen=True)
class _Needed:
  """What results.json must have for tables and figures; there is more."""

  preset: str
  dataset: str
  dataset_episodes: int
  num_seeds: int
  updates: int
  updates_per_second: float
  dataset_return: float | None = None
  dataset_return_ci95: float | None = None
  dataset_win_rate: float | None = None
  dataset_win_rate_ci95: tuple[float, ...] | None = None
  return_mean: float | None = None
  return_ci95: float | None = None
  win_rate: float | None = None
  win_rate_ci95: tuple[float, ...] | None = None
  episodes: int | None = None
  model: dict[str, Any] | None = None
  centralised: bool = False


@dataclasses.dataclass(frozen=True)
class _OpenLoop:
  """Of the errors at a horizon, those that are shown."""

  state_rmse: float | None
  state_rmse_persistence: float | None


def check(results: Mapping[str, Any], where: str) -> None:
  """Refuses the content of a results.json from which no table can be made.

  Args:
    results: the content.
    where: what to call it in an error.

  Raises:
    ValueError: names the key, the value and what is allowed.
  """
  found = schema.picked(_Needed, results, f"{where}: ")
  for key in ("dataset_return", "dataset_win_rate", "return_mean", "win_rate"):
    interval = f"{key.removesuffix('_mean')}_ci95"
    value, ends = getattr(found, key), getattr(found, interval)
    if value is None:
      continue
    wrong = len(ends or ()) != 2 if "win" in key else interval not in results
    if wrong:
      raise ValueError(f"{where}: {interval}: must go with {key} {value}; got {ends}")
  if found.model is None:
    return
  rows = schema.checked(
    f"{where}: model.open_loop", found.model.get("open_loop"), dict[str, dict]
  )
  for steps, errors in rows.items():
    if not steps.isdecimal():
      raise ValueError(f"{where}: model.open_loop.{steps}: must be a number of steps")
    schema.picked(_OpenLoop, errors, f"{where}: model.open_loop.{steps}.")


def row(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
  """One system: mean return and win rate with their 95% intervals, where known.

  What played with more than each agent's own observation is named so.
  """
  return {
    "system": f"{name}, centralised play" if results.get("centralised") else name,
    "return": _return(results, ""),
    **_win_rate(results, ""),
    "episodes": results.get("episodes"),
  }


def dataset_row(results: Mapping[str, Any]) -> dict[str, Any]:
  """The dataset that a system learned from, in the same columns."""
  return {
    "system": "dataset",
    "return": _return(results, "dataset_"),
    **_win_rate(results, "dataset_"),
    "episodes": results["dataset_episodes"],
  }


def _return(results: Mapping[str, Any], prefix: str) -> tuple[float, float] | None:
  mean = results.get(f"{prefix}return_mean", results.get(f"{prefix}return"))
  return None if mean is None else (mean, results[f"{prefix}return_ci95"])


def _win_rate(results: Mapping[str, Any], prefix: str) -> dict[str, str]:
  """The column, which is left out where nothing can be won or is known of it."""
  rate = results.get(f"{prefix}win_rate")
  if rate is None:
    return {}
  low, high = results[f"{prefix}win_rate_ci95"]
  return {"win rate": f"{rate:.1%} ({low:.1%} to {high:.1%})"}


def system_row(results: Mapping[str, Any]) -> dict[str, Any]:
  """`row`, named by the preset, with the speed of training."""
  rate = {"updates/s": round(results["updates_per_second"])}
  return row(results["preset"], results) | rate


def model_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
  """The world model's open-loop state error beside persistence, a row a horizon.

  A model that predicts no states has none.
  """
  return [
    {
      "steps ahead": int(steps),
      "state RMSE": _known(errors["state_rmse"]),
      "persistence": errors["state_rmse_persistence"],
    }
    for steps, errors in results["model"]["open_loop"].items()
  ]


def _known(value: float | None) -> float | None:
  return None if value is None or math.isnan(value) else value
