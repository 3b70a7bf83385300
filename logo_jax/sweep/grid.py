"""From systems and datasets to what has to be done, every fit once."""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, Literal

from logo_jax.configs import config as config_lib
from logo_jax.configs import entries
from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import names, source
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment, fits
from logo_jax.sweep import cells as cells_lib
from logo_jax.sweep.cells import Cell
from logo_jax.training import compose

# Of each dataset, fits that are at hand, by the keys of their models; see `fits.find`.
Fits = Mapping[str, Mapping[str, str]]


def datasets(given: Sequence[str], data_dir: str | os.PathLike[str]) -> list[str]:
  """The full names of the datasets of a grid; see `source.resolve`.

  Args:
    given: names, with @<size> or without, or paths.
    data_dir: where datasets lie that have names.

  Raises:
    ValueError: none is given, or one twice, under whatever names: its figures would be.
  """
  entries.check_some("datasets", given)
  found: list[str] = []
  for name in given:
    full, _ = source.resolve(name, names.SIZE, data_dir)
    if full in found:
      raise ValueError(f"datasets: {name!r} is there twice; must be one of its own")
    found.append(full)
  return found


def experiments(
  systems: Iterable[tuple[str, ExperimentConfig]],
  root: str | os.PathLike[str],
  at_hand: Fits | None = None,
) -> list[Cell]:
  """What has to be done to train and play systems.

  Every dataset is made once, and every world model fitted once for all systems that
  can share it, in a folder of its own; a system that has begun goes on as it began.

  Args:
    systems: the folder of each below `root`, and its configuration with data and seeds.
    root: the folder of all.
    at_hand: fits that need not be made.

  Returns:
    Cells in order, each after those that it needs; systems last.

  Raises:
    ValueError: a configuration does not fit its data, or the run that its folder holds.
  """
  before: list[Cell] = []
  found: list[Cell] = []
  for name, config in systems:
    config = experiment.resolved(config)
    needed, model_run = _needed(name, config, pathlib.Path(root), at_hand or {})
    config = dataclasses.replace(config, model_run=model_run)
    awaited = any(c.kind == "fit" and not cells_lib.finished(c, root) for c in needed)
    _check(config, pathlib.Path(root) / name, awaited)
    before += needed
    needs = tuple(cell.name for cell in needed)
    found.append(Cell(name, "experiment", config_lib.to_dict(config), needs))
  return cells_lib.merged([*_by_kind(before), *found])


def measured_models(
  systems: Iterable[tuple[str, ExperimentConfig]],
  root: str | os.PathLike[str],
  kind: Literal["model_error", "model_states"] = "model_error",
) -> list[Cell]:
  """What has to be done to know how accurate the world models of systems are.

  Args:
    systems: as in `experiments`.
    root: the folder of all.
    kind: of the cells that measure.

  Raises:
    ValueError: one has no world model, or does not fit its data, or is to tell states
      and predicts none.
  """
  before: list[Cell] = []
  found: list[Cell] = []
  for name, config in systems:
    config = experiment.resolved(config)
    if config.model is None:
      raise ValueError(f"{name}: preset {config.preset!r} has no world model")
    spec = source.spec(config.dataset)
    if spec is not None:
      imagination = compose.check_components(config, spec).imagination
      assert imagination is not None
      if kind == "model_states" and not imagination.model.predicts_state:
        raise ValueError(f"{name}: its model predicts observations alone, no states")
    needed = [data(config), fit(config, root)]
    before += needed
    folder = cells_lib.folder(needed[1], root).absolute()
    values = config_lib.to_dict(dataclasses.replace(config, model_run=str(folder)))
    needs = tuple(cell.name for cell in needed)
    found.append(Cell(name, kind, values, needs))
  return cells_lib.merged([*_by_kind(before), *found])


def visits(run: Cell, episodes: int) -> Cell:
  """The states that the policies of a run visit in so many episodes.

  Args:
    run: of `experiments`; this one needs it.
    episodes: that are played.
  """
  return Cell(f"{run.name}-visits", "visits", {"episodes": episodes}, (run.name,))


def data(config: ExperimentConfig) -> Cell:
  """The dataset of a system."""
  names = ("dataset", "num_transitions", "data_dir")
  values: dict[str, Any] = {name: getattr(config, name) for name in names}
  return Cell(f"data/{cells_lib.slug(config.dataset)}", "data", values)


def fit(config: ExperimentConfig, root: str | os.PathLike[str]) -> Cell:
  """The fit of a system's world model, which others may share.

  Its folder is named by all that the fit depends on. One that has begun goes on as it
  began: what else a configuration says does not matter to it.
  """
  assert config.model is not None
  what = [fits.key(config), config.num_transitions, config.seed, config.num_seeds]
  digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]
  name = f"fits/{cells_lib.slug(config.dataset)}/{config.model.name}-{digest}"
  folder = pathlib.Path(root) / name
  values = config_lib.to_dict(dataclasses.replace(config, model_run=""))
  if (folder / "config.json").exists():
    values = run_outputs.read_config(folder)
    values.pop("dataset_hash", None)
  return Cell(name, "fit", values, (data(config).name,))


def _needed(
  name: str, config: ExperimentConfig, root: pathlib.Path, at_hand: Fits
) -> tuple[list[Cell], str]:
  """What a system needs, and whose world model it takes over."""
  first = [data(config)]
  if config.model is None:
    return first, ""
  known = at_hand.get(config.dataset, {}).get(fits.key(config))
  made = fit(config, root)
  folder = str(cells_lib.folder(made, root).absolute())
  model_run = fits.as_begun(root / name, known or folder)
  return first + [made] * (model_run == folder), model_run


def _check(config: ExperimentConfig, folder: pathlib.Path, awaited: bool) -> None:
  """Refuses what can be refused before there are data and fits."""
  if not awaited:
    experiment.check(config, folder)
    return
  experiment.check(dataclasses.replace(config, model_run=""), folder / ".none")
  if (folder / "config.json").exists():
    RunFolder.check(folder, config_lib.to_dict(config))


def _by_kind(cells: Iterable[Cell]) -> list[Cell]:
  """Datasets before fits, of each dataset in turn."""
  return sorted(cells, key=lambda cell: ("data", "fit").index(cell.kind))
