"""From a table of the paper to what has to be done for it, and to its records."""

from collections.abc import Iterable, Mapping
import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

from logo_jax.checks import reading
from logo_jax.configs import config as config_lib
from logo_jax.configs.config import ExperimentConfig
from logo_jax.io import files
from logo_jax.io.run_folder import Differs
from logo_jax.reporting import records
from logo_jax.sweep import budgets, cells, grid, pictured
from logo_jax.sweep.budgets import Budget
from logo_jax.sweep.cells import Cell
from logo_jax.sweep.manifest import Manifest, Row, System


class Place(NamedTuple):
  """A figure of a table, and the cell that it comes from."""

  row: Row
  system: System
  cell: Cell


@dataclasses.dataclass(frozen=True)
class Planned:
  """What a table needs."""

  manifest: Manifest
  budget: str
  cells: tuple[Cell, ...]  # in order; rows are whole early
  places: tuple[Place, ...]
  left_out: Mapping[str, str]  # "system on row" to why
  seed: int = 0  # of the first run


@dataclasses.dataclass(frozen=True)
class Options:
  """What is the same for all tables."""

  root: str  # of the cells' folders, which tables share
  budget: str
  data_dir: str = "data"
  seed: int = 0
  datasets: tuple[str, ...] = ()  # these alone; all if empty
  systems: tuple[str, ...] = ()  # labels, these alone; all if empty


def plan(manifest: Manifest, options: Options) -> Planned:
  """What has to be done for a table.

  Systems that are no presets here, or do not fit a dataset, are left out by name.
  Datasets and systems of the options that the table has not are none of it.

  Raises:
    Differs: a run's folder holds one of another configuration.
  """
  budget = budgets.of_values(options.budget, {})
  missing, places, left_out = manifest.missing(), [], {}
  found: list[Cell] = []
  for later in (False, True):
    for row in manifest.rows:
      if options.datasets and row.dataset not in options.datasets:
        continue
      for system in manifest.systems:
        if system.later != later or system.label in missing:
          continue
        if options.systems and system.label not in options.systems:
          continue
        if row.systems and system.label not in row.systems:
          continue
        try:
          made = _cells(manifest, row, system, budget, options)
        except Differs:  # the folder is another's: not of this table, but of the call
          raise
        except ValueError as error:
          where = " ".join(row.labels)
          left_out[f"{system.label} on {where}"] = reading.in_line(error)
          continue
        found += made
        places.append(Place(row, system, made[-1]))
  left_out |= {name: "not in this version" for name in missing}
  unique = tuple(cells.merged(found))
  name, seed = options.budget, options.seed
  return Planned(manifest, name, unique, tuple(places), left_out, seed)


def write_records(
  planned: Planned, root: str | os.PathLike[str], out: str | os.PathLike[str]
) -> int:
  """Writes a record for each place whose cell is finished; returns how many.

  Args:
    planned: the table.
    root: of the cells' folders.
    out: where records go: `<row>--<system>.json`.
  """
  count = 0
  for place in planned.places:
    if cells.finished(place.cell, root):
      record = _record(place, planned, root)
      name = f"{place.row.key}--{cells.slug(place.system.label)}.json"
      files.write_json(pathlib.Path(out) / name, record)
      count += 1
  return count


def check_names(manifests: Iterable[Manifest], options: Options) -> None:
  """Refuses names that none of the tables has.

  Raises:
    ValueError: naming `datasets` or `systems`, the name and what there is.
  """
  tables = tuple(manifests)
  known = {
    "datasets": {row.dataset for table in tables for row in table.rows},
    "systems": {system.label for table in tables for system in table.systems},
  }
  for field, there in known.items():
    for name in getattr(options, field):
      if name not in there:
        allowed = reading.listed(sorted(there), near=name)
        raise ValueError(f"{field}: {name!r} is in none of the tables: {allowed}")


def _cells(
  manifest: Manifest, row: Row, system: System, budget: Budget, options: Options
) -> list[Cell]:
  """The cells of a place, its own last."""
  if row.kind == "model_step":
    return [_step_cell(manifest, row, budget)]
  label, config = _config(row, system, budget, options)
  name = f"{cells.slug(row.dataset)}/{label}"
  if row.kind == "model_error" or row.kind == "model_states":
    measured = f"{name}-{row.kind.removeprefix('model_')}"
    return grid.measured_models([(measured, config)], options.root, row.kind)
  made = grid.experiments([(name, config)], options.root)
  if row.kind == "visits":
    host = budgets.on_host(row.dataset)
    episodes = budget.host_episodes if host else budget.episodes
    made.append(grid.visits(made[-1], min(episodes, pictured.EPISODES)))
  return made


def _step_cell(manifest: Manifest, row: Row, budget: Budget) -> Cell:
  config = {"scenario": row.dataset, "repeats": budget.repeats} | manifest.step
  name = f"steps/{cells.slug(row.dataset)}"
  return Cell(name, "model_step", files.plain(config), alone=True)


def _config(
  row: Row, system: System, budget: Budget, options: Options
) -> tuple[str, ExperimentConfig]:
  """A system on a row's data, and its folder's name.

  What a row sets to what it is anyway is the run of those rows that do not set it.
  """
  plain = budgets.systems("systems", [system.entry], budget)[system.label]
  label, values = system.label, plain
  if row.set:
    values = budgets.systems("systems", [system.entry], budget, row.set)[system.label]
    label = system.label if values == plain else f"{system.label}:{row.set}"
  made = budgets.spent(values, budget, row.dataset, options.seed)
  return label, dataclasses.replace(made, data_dir=options.data_dir)


def _record(
  place: Place, planned: Planned, root: str | os.PathLike[str]
) -> dict[str, Any]:
  table, budget = planned.manifest.table, planned.budget
  flag = planned.manifest.name.replace(" ", "=")
  command = f"logo-jax reproduce --{flag} --budget={budget}"
  if flag.startswith("figure"):
    command += f" --datasets={place.row.dataset}"
  if planned.seed and place.row.kind != "model_step":  # which has none
    command += f" --seed={planned.seed}"
  folder = cells.folder(place.cell, root)
  if place.row.kind == "experiment":
    found = records.of_run(folder, budget, command)
  else:
    result = reading.json_file(cells.mark(place.cell, root))
    if place.row.kind == "visits":
      run = pathlib.Path(root) / place.cell.needs[0]
      found = records.of_run(run, budget, command)
      found["measures"] |= _flat(result["measures"])
    else:
      found = _of_models(place, result) | {"budget": budget, "command": command}
    found |= {name: result[name] for name in _PICTURED if name in result}
  where = {"table": table, "row": " ".join(place.row.labels), "kind": place.row.kind}
  return where | found | {"system": place.system.label, "dataset": place.row.dataset}


def _of_models(place: Place, result: Mapping[str, Any]) -> dict[str, Any]:
  """The record of a measurement of world models."""
  config = place.cell.config
  about = {name: result[name] for name in ("device", "versions")}
  about |= {"config_hash": records.config_hash(config), "updates": 0}
  if place.row.kind == "model_step":
    models = {row["name"]: row for row in result["models"]}
    timed = models[place.system.label]
    measures = {}
    for name in result["measures"]:
      measures[name] = _one(timed[name]["median"])
      measures[f"{name}_to_logo"] = _one(timed[name]["to_logo"]["median"])
    return about | {"seed": 0, "num_seeds": 1, "measures": measures}
  same = {name: config[name] for name in ("seed", "num_seeds")}
  measures = _flat(result["measures"])
  fit = config_lib.from_dict(config).fit.updates
  data = {"dataset_hash": result["dataset_hash"], "fit_updates": fit}
  return about | same | data | {"measures": measures}


# Of a result, what pictures need beside its measures.
_PICTURED = ("persistence", "shares", "points")


def _one(value: float) -> dict[str, Any]:
  return {"mean": value, "ci95": None, "seeds": [value], "over": "nothing"}


def _flat(measures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Nested measures as `name_part`; what has no number is left out."""
  found: dict[str, Any] = {}
  for name, value in measures.items():
    if "seeds" not in value:
      found |= _flat(value, f"{prefix}{name}_")
    elif value["mean"] is not None:
      found[f"{prefix}{name}"] = dict(value) | {"over": "seeds"}
  return found
