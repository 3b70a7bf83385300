"""Tiny runs of behaviour cloning on toys, for tests of their policies."""

import pathlib

from logo_jax.configs import config_dicts
from logo_jax.data import store
from logo_jax.data.store import StoredDataset
from logo_jax.runs import experiment
from tests import toys

# Data and changes of the configuration, for policies of each kind.
KINDS = {
  "discrete": (lambda: toys.random_play(toys.corridor(), 20), {}),
  "continuous": (lambda: toys.linear_quadratic(20), {}),
  "recurrent": (
    lambda: toys.delayed(20),
    {"learner__recurrent": True, "learner__window": 4},
  ),
}

_TINY = {
  "num_seeds": 2,
  "total_updates": 4,
  "collect_interval": 2,
  "batch_size": 8,
  "evaluation.interval": 2,
  "evaluation.episodes": 2,
  "evaluation.final_episodes": 2,
  "checkpoint.interval": 2,
  "learner.hidden_size": 8,
  "learner.learning_rate": 0.05,  # so that updates are seen
}


def config(dataset: str | pathlib.Path, preset: str = "bc", **changes):
  """A tiny experiment; fields of components are named like learner__window."""
  values = config_dicts.of_preset(preset)
  named = {k.replace("__", "."): v for k, v in changes.items()}
  values.update_from_flattened_dict(_TINY | {"dataset": str(dataset)} | named)
  return config_dicts.experiment_config(values)


def write(folder: pathlib.Path, data: StoredDataset) -> pathlib.Path:
  """A toy's dataset on disk, in a format that a configuration may name by its path."""
  card = {"name": folder.name, "spec": data.spec.stored()}
  return store.write(folder, data.rows, data.episode_start, card)


def train(folder: pathlib.Path, data: StoredDataset, **changes) -> pathlib.Path:
  """A run on a toy's data, which are gone after it."""
  path = write(folder / "data", data)
  experiment.run(config(path, **changes), folder / "run")
  path.rename(folder / "gone")
  return folder / "run"
