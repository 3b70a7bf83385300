"""Fitted world models that several runs share."""

from collections.abc import Iterable, Mapping, Sequence
import json
import pathlib

from logo_jax import config as config_lib
from logo_jax.config import ExperimentConfig
from logo_jax.reporting import runs


def key(config: ExperimentConfig) -> str:
  """The same for runs on the same data and seeds that can share a fitted model."""
  values = config_lib.to_dict(config)
  return json.dumps([values["model"], values["fit"]])


def find(folders: Sequence[str], dataset: str) -> dict[str, str]:
  """Those folders that are of runs on a dataset, by the keys of their models.

  Raises:
    ValueError: a folder holds no run.
  """
  found = {}
  for path in folders:
    stored = runs.read_config(path)
    if stored["dataset"] == dataset:
      name = json.dumps([stored["model"], stored["fit"]])
      found[name] = str(pathlib.Path(path).absolute())
  return found


def check_used(
  folders: Sequence[str],
  found: Iterable[Mapping[str, str]],
  configs: Iterable[ExperimentConfig],
) -> None:
  """Refuses a fit that no run needs: a mistake that may cost hours.

  Args:
    folders: all that were given.
    found: what `find` has made of them.
    configs: of the runs.

  Raises:
    ValueError: which folder, by name.
  """
  wanted = {key(config) for config in configs if config.model is not None}
  used = {path for each in found for name, path in each.items() if name in wanted}
  for path in folders:
    if str(pathlib.Path(path).absolute()) not in used:
      raise ValueError(
        f"fits: {path}: no system on these datasets has its model and fit; see "
        "config.json there"
      )
