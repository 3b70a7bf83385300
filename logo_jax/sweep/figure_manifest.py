"""What a figure of the paper needs, as a TOML file says it."""

from collections.abc import Sequence
import dataclasses
import os
import pathlib

from logo_jax.checks import schema
from logo_jax.data import source
from logo_jax.sweep import manifest
from logo_jax.sweep.manifest import Kind, Manifest, Row, System

FOLDER = pathlib.Path(__file__).parent / "figures"  # the paper's, a file each


@dataclasses.dataclass(frozen=True)
class Part:
  """What is done with some systems."""

  kind: Kind
  systems: tuple[str, ...] = ()  # labels; all if empty


@dataclasses.dataclass(frozen=True)
class Figure:
  """A figure, of which there is a picture for each dataset."""

  figure: str
  title: str
  datasets: tuple[str, ...]  # unless others are named
  systems: tuple[System, ...]
  parts: tuple[Part, ...]
  note: str = ""

  def on(self, datasets: Sequence[str] = ()) -> Manifest:
    """What has to be done, in the form of a table, a row for each dataset and part.

    Args:
      datasets: in the place of its own; these if empty.

    Raises:
      ValueError: no such dataset.
    """
    for name in datasets:
      source.spec(name)
    rows = [
      Row((dataset, part.kind), dataset, part.kind, systems=part.systems)
      for dataset in datasets or self.datasets
      for part in self.parts
    ]
    return Manifest(
      table=f"figure{self.figure}",
      title=self.title,
      labels=("dataset", "part"),
      flagship=(),
      paper_flagship="",
      systems=self.systems,
      rows=tuple(rows),
      note=self.note,
    )


def read(path: str | os.PathLike[str]) -> Figure:
  """Reads a figure's manifest.

  Raises:
    ValueError: it is missing, is no TOML, or says what is not allowed.
  """
  found: Figure = schema.build(Figure, manifest.toml(path), f"{path}: ")
  labels = [system.label for system in found.systems]
  for name in ("datasets", "systems", "parts"):
    if not getattr(found, name):
      raise ValueError(f"{path}: {name}: none are given; a figure needs at least one")
  for i, part in enumerate(found.parts):
    for name in part.systems:
      if name not in labels:
        allowed = ", ".join(labels)
        raise ValueError(f"{path}: parts[{i}].systems: {name!r} is none of {allowed}")
  manifest.check_once(str(path), "systems", labels)
  manifest.check_once(str(path), "parts", [part.kind for part in found.parts])
  return found
