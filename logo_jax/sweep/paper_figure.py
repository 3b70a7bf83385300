"""Pictures of a figure of the paper, and its numbers, of records alone."""

from collections.abc import Mapping
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.io import files
from logo_jax.reporting import paper_figures, records, tables
from logo_jax.reporting.figures import Curve
from logo_jax.reporting.paper_figures import Motivation, Points
from logo_jax.reporting.records import Record
from logo_jax.sweep import cells
from logo_jax.sweep.figure_manifest import Figure

# Of one dataset: by kind of the part, then by system's label, in the figure's order.
Found = Mapping[str, Mapping[str, Record]]

_ERROR = "state_rmse_"  # measures of models, by steps ahead
_PANELS = {  # of kinds that have points: which, with how many coordinates
  "model_states": {"true": 2, "predicted": 2},
  "visits": {"data": 2, "visited": 3},
}
_DRAWN = {"model_states": paper_figures.predicted, "visits": paper_figures.visited}


def render(figure: Figure, folder: str | os.PathLike[str]) -> str:
  """Writes the numbers behind a figure's pictures to figure.md.

  Args:
    figure: what is shown.
    folder: holds `<dataset>-<kind>--<system>.json`.

  Returns:
    The Markdown.

  Raises:
    ValueError: a record is damaged, or those of a dataset are of different data.
  """
  parts = [f"# {figure.title}", " ".join(figure.note.split())]
  commands: dict[str, None] = {}
  for dataset, found in read(figure, folder).items():
    parts.append(f"{dataset}, {_about(found)}")
    for by_system in found.values():
      rows = [{"system": name} | _numbers(item) for name, item in by_system.items()]
      parts.append(tables.markdown_table(rows, digits=3))
      commands |= dict.fromkeys(record["command"] for record in by_system.values())
  parts += ["Made with", "\n".join(["```bash", *commands, "```"])]
  text = "\n\n".join(parts) + "\n"
  files.write_text(pathlib.Path(folder) / "figure.md", text)
  return text


def draw(figure: Figure, folder: str | os.PathLike[str]) -> list[pathlib.Path]:
  """Draws pictures for each dataset that a folder has records of, as PNG and SVG.

  Points of a kind have a picture of their own, errors and returns one together.

  Args:
    figure: what is shown.
    folder: see `render`.

  Returns:
    The SVGs.

  Raises:
    ValueError: see `render`.
  """
  made = []
  for dataset, found in read(figure, folder).items():
    path = pathlib.Path(folder) / cells.slug(dataset)
    title = f"{figure.title}\n{dataset}, {_about(found)}"
    for kind in [kind for kind in _PANELS if kind in found]:
      panels = [_panel(kind, *item) for item in found[kind].items()]
      shares = np.asarray(next(iter(found[kind].values()))["shares"])
      made.append(path.with_name(f"{path.name}-{kind}"))
      _DRAWN[kind](made[-1], panels, shares, title)
    if set(found) - set(_PANELS):
      made.append(path)
      paper_figures.motivation(path, _motivation(figure, found), title)
  return [path.with_name(f"{path.name}.svg") for path in made]


def read(figure: Figure, folder: str | os.PathLike[str]) -> dict[str, Found]:
  """The records of a folder, by dataset.

  Raises:
    ValueError: see `render`.
  """
  labels = [system.label for system in figure.systems]
  kinds = [part.kind for part in figure.parts]
  known = [
    (labels.index(record["system"]), name, record)
    for name, record in records.read_folder(folder).items()
    if record["system"] in labels and record.get("kind") in kinds
  ]
  found: dict[str, dict[str, dict[str, Record]]] = {}
  for _, name, record in sorted(known, key=lambda item: item[:2]):
    of_dataset = found.setdefault(record["dataset"], {kind: {} for kind in kinds})
    for other in [x for by_system in of_dataset.values() for x in by_system.values()]:
      if other["dataset_hash"] != record["dataset_hash"]:
        raise ValueError(
          f"{pathlib.Path(folder) / name}.json: dataset_hash: its data are other ones "
          f"than those of {other['system']}; make one of them again"
        )
    _check_points(f"{pathlib.Path(folder) / name}.json", record)
    of_dataset[record["kind"]][record["system"]] = record
  return {
    dataset: {kind: x for kind, x in of_dataset.items() if x}
    for dataset, of_dataset in sorted(found.items())
  }


def _check_points(where: str, record: Record) -> None:
  for name, size in _PANELS.get(record["kind"], {}).items():
    try:
      shape = np.asarray(record["points"][name], np.float64).shape
    except (KeyError, TypeError, ValueError):
      shape = ()
    if len(shape) != 2 or shape[0] != size or not shape[1]:
      raise ValueError(f"{where}: points.{name}: must be {size} lists of numbers")


def _panel(kind: str, system: str, record: Record) -> Points:
  points = [np.asarray(record["points"][k], np.float64) for k in _PANELS[kind]]
  numbers = _numbers(record)
  said = ", ".join(
    f"{name} {tables.format_mean_ci(*numbers[name])}"
    for name in ("error", "return", "spread")
    if numbers.get(name) is not None
  )
  return Points(f"{system}\n{said}", *points)


def _motivation(figure: Figure, found: Found) -> Motivation:
  errors: dict[str, dict[str, Curve]] = {}
  persistence: dict[int, float] = {}
  measured, trained = found.get("model_error", {}), found.get("experiment", {})
  for system in figure.systems:
    steps = _errors(measured.get(system.label, {"measures": {}}))
    if steps:
      mean, ci = np.array(list(steps.values()), np.float64).T  # None becomes NaN
      curve: Curve = (list(steps), mean, ci)
      errors.setdefault(system.paper or system.label, {})[system.label] = curve
      moved = measured[system.label]["persistence"]["state_rmse"]
      persistence = {int(h): value for h, value in moved.items()}
  returns = {name: _measure(record, "return") for name, record in trained.items()}
  data = [record["data"].get("return") for record in trained.values()]
  known = {name: pair for name, pair in returns.items() if pair is not None}
  return Motivation(errors, persistence, known, data[0] if data else None)


def _errors(record: Record) -> dict[int, tuple[float, float | None]]:
  found = {}
  for name in record["measures"]:
    if name.startswith(_ERROR) and _measure(record, name) is not None:
      found[int(name.removeprefix(_ERROR))] = _measure(record, name)
  return dict(sorted(found.items()))


def _measure(record: Record, name: str) -> Any:
  """Mean and half width; None where there is no number."""
  measure = record["measures"].get(name)
  if measure is None or measure["mean"] is None:
    return None
  return measure["mean"], measure["ci95"]


def _numbers(record: Record) -> dict[str, Any]:
  """What is told of a record."""
  if record["kind"] in ("model_error", "model_states"):
    moved = record["persistence"]["state_rmse"]
    if record["kind"] == "model_states":
      return {"error": _measure(record, f"{_ERROR}1"), "no change": moved["1"]}
    return {f"error at {h}": pair for h, pair in _errors(record).items()}
  names = ("return", "normalised", *["spread", "reward"] * (record["kind"] == "visits"))
  return {name: _measure(record, name) for name in names}


def _about(found: Found) -> str:
  record = next(iter(next(iter(found.values())).values()))
  seeds = "one seed" if record["num_seeds"] == 1 else f"{record['num_seeds']} seeds"
  quick = "; its figures say nothing" * (record["budget"] == "quick")
  return f"budget {record['budget']}, {seeds}{quick}"
