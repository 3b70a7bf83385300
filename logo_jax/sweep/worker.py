"""A process that works on one cell: python -m logo_jax.sweep.worker --cell=FILE.

It ends as soon as its parent does, however that ends: its standard input closes.
"""

import os
import pathlib
import threading
from typing import Any

from absl import flags

from logo_jax import cli
from logo_jax.checks import schema
from logo_jax.configs import config as config_lib
from logo_jax.configs.config import ExperimentConfig
from logo_jax.io import files
from logo_jax.reporting import model_results, run_outputs
from logo_jax.runs import experiment, fits, model_study, outcomes
from logo_jax.sweep import cells, model_step, pictured
from logo_jax.sweep.cells import Cell


def work(cell: Cell, root: str | os.PathLike[str]) -> bool:
  """Does what a cell says, or goes on with it.

  Args:
    cell: which.
    root: the folder of all cells.

  Returns:
    Whether it is finished; not if the process was asked to stop.

  Raises:
    ValueError: the configuration, the data or what the folder holds do not fit.
    training.session.Diverged: a loss is not finite.
  """
  folder = cells.folder(cell, root)
  if cell.kind == "model_step":
    config = schema.build(model_step.Config, cell.config, f"{cell.name}: ")
    files.write_json(cells.mark(cell, root), model_step.measured(config))
    return True
  if cell.kind == "data":
    experiment.load_dataset(config_lib.from_dict(_ANY | cell.config))
    return True
  if cell.kind == "visits":
    result = pictured.visits(pathlib.Path(root) / cell.needs[0], **cell.config)
    files.write_json(cells.mark(cell, root), result)
    return True
  config = config_lib.from_dict(cell.config)
  if cell.kind == "experiment":
    return experiment.run(config, folder) is not None
  result = _fit(config, folder) if cell.kind == "fit" else _of_model(cell.kind, config)
  if result is None:
    return False
  files.write_json(cells.mark(cell, root), result)
  return True


_ANY: dict[str, Any] = {"preset": "", "learner": {"name": "bc"}}


def _fit(config: ExperimentConfig, folder: pathlib.Path) -> dict[str, Any] | None:
  fitted = model_study.fit(config, experiment.load_dataset(config), folder)
  if fitted is None:
    return None
  return {
    "seconds": fitted.seconds,
    "device": outcomes.device_name(),
    "key": fits.key(config),
  }


def _of_model(kind: str, config: ExperimentConfig) -> dict[str, Any]:
  """What is measured of the fitted model of `model_run`, on the test split.

  Other cells may measure the same one meanwhile.
  """
  stored = run_outputs.read_config(config.model_run)
  stored.pop("dataset_hash", None)
  begun = config_lib.from_dict(stored)
  loaded = experiment.load_dataset(begun)
  fitted = model_study.fitted(begun, loaded, config.model_run)
  if kind == "model_states":
    found = pictured.model_states(fitted, loaded)
  else:
    scores = model_study.scores({}, config, loaded.statistics)
    measures = model_study.measure(fitted, loaded, loaded, "test", scores)
    found = {"persistence": measures.pop("persistence")}
    found["measures"] = model_results.over_seeds(measures)
  return found | {
    "dataset": config.dataset,
    "dataset_hash": loaded.card["content_hash"],
    "device": outcomes.device_name(),
    "versions": outcomes.versions(),
  }


def _end_with_parent() -> None:
  """Ends the process when nobody holds its standard input any more."""

  def wait() -> None:
    while os.read(0, 1):  # not through `sys.stdin`, whose lock outlives the interpreter
      pass
    os._exit(1)  # what is half written is left out by whoever goes on

  threading.Thread(target=wait, daemon=True).start()


def _main(argv: list[str]) -> None:
  del argv
  _end_with_parent()
  cell, root = cells.read(str(flags.FLAGS["cell"].value))
  work(cell, root)


if __name__ == "__main__":
  flags.DEFINE_string("cell", None, "File that `cells.write` has left.", required=True)
  cli.run(_main)
