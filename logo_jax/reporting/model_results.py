"""What is reported of world models: numbers over seeds, and tables of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from logo_jax.reporting import statistics, tables
from logo_jax.reporting.figures import Curve

_HEADS = {
  "reward R²": "reward_r2",
  "reward RMSE": "reward_rmse",
  "ends found": "termination_recall",
  "false alarms": "termination_false_alarms",
  "legal actions": "legal_accuracy",
  "attacks": "legal_attack_accuracy",
}
_ERRORS = {
  "State error, mean square": "state_mse",
  "State error, root mean square": "state_rmse",
  "Observation error, mean square": "obs_mse",
  "Observation error, root mean square": "obs_rmse",
}


def over_seeds(values: Any) -> Any:
  """Replaces each array of seeds in nested dicts by what is reported of it.

  Args:
    values: nested dicts; leaves are numbers, one per seed.

  Returns:
    The same dicts, leaves being `mean`, `ci95` (half width by Student's t; NaN for a
    single seed) and `seeds`, all of them.
  """
  if isinstance(values, Mapping):
    return {key: over_seeds(item) for key, item in values.items()}
  seeds = np.atleast_1d(np.asarray(values, np.float64))
  mean, ci = statistics.mean_ci95(seeds)
  return {"mean": mean, "ci95": ci, "seeds": seeds.tolist()}


def report(results: Mapping[str, Any]) -> str:
  """All tables of an experiment's results, as Markdown that is easy to read as text.

  Args:
    results: as results.json holds them: `models`, each of them as `over_seeds` gives
      it, `persistence`, and `floor`, {} where it is not known.
  """
  models = results["models"]
  parts = [(title, error_rows(results, key), 4) for title, key in _ERRORS.items()] + [
    ("One step", _head_rows(results), 4),
    ("Uncertainty", [row for item in models.items() for row in _trust(*item)], 2),
  ]
  return "\n\n".join(
    f"{title}\n\n{tables.markdown_table(rows, digits=digits)}"
    for title, rows, digits in parts
    if rows
  )


def error_rows(results: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
  """A row for each model, then persistence and the floor; a column for each horizon.

  Args:
    results: see `report`.
    key: of the error, for example "state_mse".
  """
  persistence, floor = results["persistence"][key], results["floor"].get(key, {})
  rows = [
    {"model": name} | {h: _pair(model[key].get(h)) for h in persistence}
    for name, model in results["models"].items()
  ]
  rows.append({"model": "persistence"} | persistence)
  if floor:
    exact = not any(floor.values())
    label = "floor: 0 (deterministic)" if exact else "floor"
    rows.append({"model": label} | {h: floor.get(h) for h in persistence})
  return rows


def curves(results: Mapping[str, Any], key: str) -> dict[str, Curve]:
  """Each model's error over horizons, for `model_figure.draw`; see `error_rows`."""
  found: dict[str, Curve] = {}
  for name, model in results["models"].items():
    steps = [int(h) for h in model[key]]
    mean, ci = ([value[k] for value in model[key].values()] for k in ("mean", "ci95"))
    found[name] = (steps, mean, ci)
  return found


def _head_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
  rows = [_heads(name, model) for name, model in results["models"].items()]
  if "reward_r2" in results["floor"]:
    best = {"model": "floor", "reward R²": results["floor"]["reward_r2"]}
    rows.append(dict.fromkeys(rows[0]) | best)
  return rows


def _heads(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
  row: dict[str, Any] = {"model": name}
  row |= {label: _pair(model[key]) for label, key in _HEADS.items()}
  row["parameters"] = int(model["parameters"]["mean"])
  row["seconds of fit"] = round(model["seconds"]["mean"])
  return row


def _trust(name: str, model: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
  """Rank correlations with the error by horizon, and the AUROC of unlike actions."""
  for uncertainty, by_horizon in model["spearman"].items():
    row: dict[str, Any] = {"model": name, "uncertainty": uncertainty}
    row |= {f"ρ at {h}": _pair(value) for h, value in by_horizon.items()}
    row["AUROC"] = _pair(model["auroc"].get(uncertainty))
    yield row


def _pair(value: Mapping[str, Any] | None) -> tuple[float, float] | None:
  """Mean and half width for a table; None where there is no number."""
  if value is None or value["mean"] is None or np.isnan(value["mean"]):
    return None
  return value["mean"], value["ci95"]
