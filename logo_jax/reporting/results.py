"""Rows of result tables, from what results.json holds."""

from collections.abc import Mapping
import math
from typing import Any


def row(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
  """One system: mean return and win rate with their 95% intervals, where known."""
  return {
    "system": name,
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
