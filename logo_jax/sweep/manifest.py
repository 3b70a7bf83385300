"""What a table of the paper needs, as a TOML file says it."""

from collections.abc import Sequence
import dataclasses
import os
import pathlib
import re
import tomllib
from typing import Any, Literal

from logo_jax.checks import reading, schema
from logo_jax.configs import presets

FOLDER = pathlib.Path(__file__).parent / "tables"  # the paper's, a file each

# A policy trained and played; a world model measured, or timed. In figures: what a
# model says of states, and the states that a trained policy visits.
Kind = Literal["experiment", "model_error", "model_step", "model_states", "visits"]


@dataclasses.dataclass(frozen=True)
class System:
  """A column."""

  # As for `entries.systems`; where steps are timed the name of a model in
  # `model_step.subjects`.
  entry: str
  paper: str = ""  # the paper's column that stands beside it
  later: bool = False  # run when the rows are whole without it
  reference: bool = False  # shown, but never the best

  @property
  def label(self) -> str:
    """What its column and its files are called."""
    return self.entry.rpartition("@")[0] or self.entry

  @property
  def preset(self) -> str:
    """The preset that the entry begins from."""
    return self.entry.rpartition("@")[2].split(":")[0]


@dataclasses.dataclass(frozen=True)
class Row:
  """A row, and how its figures come about."""

  labels: tuple[str, ...]  # of the row, in the table's first columns
  dataset: str  # where steps are timed: the scenario
  kind: Kind = "experiment"
  measure: str = "return"  # of `reporting.records`
  beside: str = "normalised"  # another one, on a line of its own; "" for none
  better: Literal["greater", "less"] = "greater"
  set: str = ""  # other fields of all systems, as in an entry: horizon=5
  systems: tuple[str, ...] = ()  # labels of those that it is of; all if empty
  paper: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)

  @property
  def key(self) -> str:
    """The labels as the name of a file."""
    return re.sub(r"[^\w]+", "-", "-".join(self.labels))


@dataclasses.dataclass(frozen=True)
class Manifest:
  """A table."""

  table: str
  title: str
  labels: tuple[str, ...]  # of the first columns
  flagship: tuple[str, ...]  # labels of the systems whose best rows are counted
  paper_flagship: str  # the paper's column whose best rows are counted
  systems: tuple[System, ...]
  rows: tuple[Row, ...]
  note: str = ""
  step: dict[str, Any] = dataclasses.field(default_factory=dict)  # `model_step.Config`

  @property
  def name(self) -> str:
    """What it is called: table 2, figure 3."""
    kind = "figure" if self.table.startswith("figure") else "table"
    return f"{kind} {self.table.removeprefix('figure')}"

  def missing(self) -> tuple[str, ...]:
    """Labels of systems that are no presets here."""
    if all(row.kind == "model_step" for row in self.rows):
      return ()
    known = presets.names()
    return tuple(s.label for s in self.systems if s.preset not in known)


def read(path: str | os.PathLike[str]) -> Manifest:
  """Reads a manifest.

  Raises:
    ValueError: it is missing, is no TOML, or says what is not allowed.
  """
  found = schema.build(Manifest, toml(path), f"{path}: ")
  return _checked(found, str(path))


def toml(path: str | os.PathLike[str]) -> dict[str, Any]:
  """What a TOML file says.

  Raises:
    ValueError: it is missing, or is no TOML.
  """
  try:
    return tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
  except OSError as error:
    raise ValueError(f"{path} cannot be read: {error.strerror}") from None
  except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f"{path} is no TOML: {reading.in_line(error)}") from None


def check_once(where: str, field: str, names: Sequence[str]) -> None:
  """Refuses names that are there twice.

  Raises:
    ValueError: names the field and them.
  """
  twice = {name for name in names if names.count(name) > 1}
  if twice:
    raise ValueError(f"{where}: {field}: {', '.join(sorted(twice))} twice")


def _checked(manifest: Manifest, where: str) -> Manifest:
  labels = [system.label for system in manifest.systems]
  columns = {system.paper for system in manifest.systems} - {""}
  for name in manifest.flagship:
    if name not in labels:
      raise ValueError(f"{where}: flagship: {name!r} is none of {', '.join(labels)}")
  taken = {"", "data", *labels} & set(manifest.labels)
  if taken:
    raise ValueError(f"{where}: labels: {min(taken)!r} is another column's name")
  for row in manifest.rows:
    if len(row.labels) != len(manifest.labels):
      raise ValueError(f"{where}: rows.labels: {row.labels} are not as many as labels")
    for name, numbers in row.paper.items():
      if name not in columns or len(numbers) not in (1, 2):
        raise ValueError(
          f"{where}: rows.paper.{name}: must be [mean, half width] of one of "
          f"{', '.join(sorted(columns))}"
        )
  check_once(where, "systems", labels)
  check_once(where, "rows", [row.key for row in manifest.rows])
  return manifest
