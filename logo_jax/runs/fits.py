"""Fitted world models that several runs share."""

from collections.abc import Iterable, Sequence
import json
import pathlib
from typing import Any

from logo_jax.configs import config as config_lib
from logo_jax.configs.config import ExperimentConfig
from logo_jax.reporting import run_outputs


def key(config: ExperimentConfig) -> str:
  """The same for runs on the same data and seeds that can share a fitted model."""
  return _key(config_lib.to_dict(config))


def find(
  folders: Sequence[str], datasets: Sequence[str], configs: Iterable[ExperimentConfig]
) -> dict[str, dict[str, str]]:
  """Fits that are at hand, of each dataset by the keys of their models.

  Args:
    folders: of runs; all must be of use, for a fit may take hours.
    datasets: of the runs that are to share them.
    configs: of those runs.

  Raises:
    ValueError: a folder holds no run, or one whose model nobody needs.
  """
  found: dict[str, dict[str, str]] = {name: {} for name in datasets}
  wanted = {key(config) for config in configs if config.model is not None}
  for path in folders:
    stored = run_outputs.read_config(path)
    dataset, model = stored.get("dataset"), _key(stored)
    if not isinstance(dataset, str) or dataset not in found:
      raise ValueError(f"fits: {path} is of {dataset!r}; allowed are {list(found)}")
    if model not in wanted:
      raise ValueError(f"fits: {path}: no system here has its model and fit, {model}")
    if model in found[dataset]:
      raise ValueError(f"fits: {path} and {found[dataset][model]} have the same model")
    found[dataset][model] = str(pathlib.Path(path).absolute())
  return found


def as_begun(run_dir: pathlib.Path, model_run: str) -> str:
  """The `model_run` that a run was started with, in whatever order; else this one."""
  if not (run_dir / "config.json").exists():
    return model_run
  return str(run_outputs.read_config(run_dir).get("model_run", ""))


def _key(values: dict[str, Any]) -> str:
  return json.dumps([values.get(name) for name in ("model", "fit", "data_parallel")])
