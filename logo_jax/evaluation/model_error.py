"""Errors of a world model on held-out episodes, beside persistence."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from logo_jax.data import stream
from logo_jax.data.dataset import LoadedDataset, transitions
from logo_jax.evaluation import open_loop, single_step
from logo_jax.evaluation.open_loop import Rollouts, Windows
from logo_jax.evaluation.single_step import SingleSteps
from logo_jax.types import Metrics, Params, Rows, WorldModel

HORIZONS = (1, 5, 10, 15, 20)
_KINDS = ("state", "obs")


def model_errors(model: WorldModel, params: Params, loaded: LoadedDataset) -> dict:
  """Measures a model on the test episodes, for the results of a run.

  Args:
    model: the world model.
    params: with a leading axis of seeds.
    loaded: the dataset.

  Returns:
    Means over seeds: one-step figures, and `open_loop`, errors after each of `HORIZONS`
    steps of recorded actions. State and observation errors are root mean squares in
    units of the features' standard deviation, over the features that vary.
  """
  windows, horizons = open_loop.take_windows(loaded), sorted({1, *HORIZONS})
  rolled = open_loop.roll_out(model, params, loaded, windows, horizons)
  every = open_loop.take_windows(loaded, most=single_step.MAX_STEPS)
  single = single_step.predict(model, params, loaded, every)
  errors, moved = summarise(rolled, single, horizons), persistence(rolled, horizons)

  def after(steps: str) -> dict[str, Any]:
    return {f"{kind}_rmse": errors[f"{kind}_rmse"][steps] for kind in _KINDS} | {
      f"{kind}_rmse_persistence": moved[f"{kind}_rmse"][steps] for kind in _KINDS
    }

  result = after("1") | {k: v for k, v in errors.items() if not isinstance(v, dict)}
  result |= diagnose(model, params, loaded, windows)
  result["open_loop"] = {
    str(h): after(str(h)) for h in HORIZONS if str(h) in errors["state_rmse"]
  }
  return _means(result)


def summarise(
  rolled: Rollouts, single: SingleSteps, horizons: Sequence[int]
) -> dict[str, Any]:
  """Figures of each seed: arrays [S], those of horizons in dicts by their number.

  Horizons that no episode lasts are left out. A figure that these data do not have,
  like the recall of terminations where none ended, is NaN.
  """
  errors = (rolled.state_error, rolled.obs_error)
  squared = np.square(single.true_reward - single.reward, dtype=np.float64).mean(-1)
  variance = np.var(single.true_reward, dtype=np.float64)
  return _in_both_units(errors, rolled.left, horizons) | {
    "reward_r2": 1 - squared / max(variance, 1e-12),
    "reward_rmse": np.sqrt(squared),  # environment's units
    "termination_recall": _share(single.said_ended, single.ended),
    "termination_false_alarms": _share(single.said_ended, ~single.ended),
    "legal_accuracy": single.legal_right.mean((1, 2, 3)),
    "legal_attack_accuracy": _share(single.legal_right, single.contingent),
  }


def persistence(rolled: Rollouts, horizons: Sequence[int]) -> dict[str, Any]:
  """Errors of predicting that nothing changes, floats in the form of `summarise`."""
  errors = (rolled.state_moved[None], rolled.obs_moved[None])
  return _means(_in_both_units(errors, rolled.left, horizons))


def diagnose(
  model: WorldModel, params: Params, loaded: LoadedDataset, windows: Windows
) -> dict[str, np.ndarray]:
  """The model's checks of its own on the windows' first steps, arrays [S]."""
  rows, start = stream.gather_if_on_host(loaded.data.rows, windows.start, 1)

  @jax.jit
  def every_seed(params: Params, rows: Rows, start: jax.Array) -> Metrics:
    # One seed after the other: this is the whole split at once.
    return jax.lax.map(lambda p: model.diagnose(p, transitions(rows, start)), params)

  return {k: np.asarray(v) for k, v in every_seed(params, rows, start).items()}


def _means(values: Any) -> Any:
  """Means over seeds in nested dicts that keep their order; `jax.tree` sorts keys."""
  if isinstance(values, dict):
    return {key: _means(item) for key, item in values.items()}
  return float(np.mean(values))


def _in_both_units(
  errors: Sequence[np.ndarray], left: np.ndarray, horizons: Sequence[int]
) -> dict[str, dict[str, np.ndarray]]:
  """Mean squares and their roots, [S] by horizon, of errors [S, H, W] of each kind."""
  found = {}
  for kind, error in zip(_KINDS, errors, strict=True):
    mse = {
      str(h): error[:, h - 1, left >= h].mean(-1, dtype=np.float64)
      for h in horizons
      if (left >= h).any()
    }
    found[f"{kind}_mse"] = mse
    found[f"{kind}_rmse"] = {h: np.sqrt(x) for h, x in mse.items()}
  return found


def _share(right: np.ndarray, among: np.ndarray) -> np.ndarray:
  """The share of `right` [S, *b] where `among` [*b] is true; NaN if it never is."""
  chosen = right[:, among]
  return chosen.mean(-1) if among.any() else np.full(len(right), np.nan)
