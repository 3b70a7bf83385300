"""Rows of result tables, from what results.json holds."""

from collections.abc import Mapping
from typing import Any


def row(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
  """One system: mean return and win rate with their 95% intervals."""
  low, high = results["win_rate_ci95"]
  return {
    "system": name,
    "return": (results["return_mean"], results["return_ci95"]),
    "win rate": f"{results['win_rate']:.1%} ({low:.1%} to {high:.1%})",
    "episodes": results["episodes"],
  }


def dataset_row(results: Mapping[str, Any]) -> dict[str, Any]:
  """The dataset that a system learned from, in the same columns."""
  low, high = results["dataset_win_rate_ci95"]
  return {
    "system": "dataset",
    "return": (results["dataset_return"], results["dataset_return_ci95"]),
    "win rate": f"{results['dataset_win_rate']:.1%} ({low:.1%} to {high:.1%})",
    "episodes": results["dataset_episodes"],
  }


def system_row(results: Mapping[str, Any]) -> dict[str, Any]:
  """`row`, named by the preset, with the speed of training."""
  rate = {"updates/s": round(results["updates_per_second"])}
  return row(results["preset"], results) | rate


def model_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
  """The world model's open-loop state error beside persistence, a row a horizon."""
  return [
    {
      "steps ahead": int(steps),
      "state RMSE": errors["state_rmse"],
      "persistence": errors["state_rmse_persistence"],
    }
    for steps, errors in results["model"]["open_loop"].items()
  ]
