"""A table of the paper with what was found here, in Markdown and LaTeX."""

from collections.abc import Iterable, Mapping, Sequence
import math
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.io import files
from logo_jax.reporting import aggregates, curves_figure, records, tables
from logo_jax.reporting.figures import Curve
from logo_jax.reporting.records import Record
from logo_jax.sweep.manifest import Manifest, Row

# By row's key, then by system's label.
Found = Mapping[str, Mapping[str, Record]]


def render(manifest: Manifest, folder: str | os.PathLike[str]) -> str:
  """Makes a table of the records in a folder.

  Writes table.md, table.tex and long.csv beside them.

  Args:
    manifest: the table.
    folder: holds `<row>--<system>.json`.

  Returns:
    The Markdown.

  Raises:
    ValueError: a record is damaged.
  """
  folder = pathlib.Path(folder)
  found = read(folder)
  text = markdown(manifest, found)
  files.write_text(folder / "table.md", text)
  files.write_text(folder / "table.tex", latex(manifest, found))
  everything = [record for by_system in found.values() for record in by_system.values()]
  records.write_csv(folder / "long.csv", everything)
  return text


def draw(manifest: Manifest, folder: str | os.PathLike[str]) -> None:
  """Draws the learning curves of a table's records: curves.png and curves.svg.

  Args:
    manifest: the table.
    folder: of the records. Where none has a curve nothing is drawn.

  Raises:
    ValueError: a record is damaged.
  """
  found, panels, references = read(folder), {}, {}
  for row in manifest.rows:
    there, title = found.get(row.key, {}), " ".join(row.labels)
    for name, record in there.items():
      curve = record.get("curve")
      if curve:
        panels.setdefault(title, {})[name] = _as_curve(curve)
        references[title] = record["data"]["return"]
  if panels:
    curves_figure.draw(pathlib.Path(folder) / "curves", panels, references)


def _as_curve(curve: Mapping[str, list[float | None]]) -> Curve:
  parts = [np.array(curve[k], np.float64) for k in ("share", "mean", "ci95")]
  return parts[0], parts[1], parts[2]


def read(folder: str | os.PathLike[str]) -> dict[str, dict[str, dict[str, Any]]]:
  """The records of a folder, by row and system.

  Raises:
    ValueError: a record is damaged.
  """
  found: dict[str, dict[str, dict[str, Any]]] = {}
  for name, record in records.read_folder(folder).items():
    found.setdefault(name.rpartition("--")[0], {})[record["system"]] = record
  return found


def markdown(manifest: Manifest, found: Found) -> str:
  """Title, table, counts and where the numbers come from."""
  rows = _lines(manifest, found)
  body = tables.markdown_table(rows)
  parts = [f"# {manifest.title}", body, *_remarks(manifest, found)]
  return "\n\n".join(parts) + "\n"


def latex(manifest: Manifest, found: Found) -> str:
  """The same as a LaTeX table of the package booktabs."""
  caption = " ".join([manifest.title + ".", counts(manifest, found)])
  return tables.latex_table(_lines(manifest, found), caption)


def best(row: Row, means: Mapping[str, tuple[float, float | None]]) -> set[str]:
  """Who is the best in a row, and who is tied with it within the 95% intervals.

  Args:
    row: says what is better.
    means: of those that are known, with half widths; None counts as 0.
  """
  if not means:
    return set()
  sign = 1.0 if row.better == "greater" else -1.0
  top = max(means, key=lambda name: sign * means[name][0])
  least = sign * means[top][0] - _width(means[top][1])
  return {
    name
    for name, (mean, ci) in means.items()
    if name == top or sign * mean + _width(ci) >= least
  }


def counts(manifest: Manifest, found: Found) -> str:
  """In how many rows the flagship is the best, here and in the paper."""
  names = ", ".join(manifest.flagship)
  filled = tied = first = 0
  for row in manifest.rows:
    means = _rivals(manifest, _means(row, found.get(row.key, {})))
    own = [name for name in manifest.flagship if name in means]
    if not own or len(own) == len(means):
      continue
    filled += 1
    tied += any(name in best(row, means) for name in own)
    alone = {name: (mean, None) for name, (mean, _) in means.items()}
    first += any(name in best(row, alone) for name in own)
  theirs = [row for row in manifest.rows if manifest.paper_flagship in row.paper]
  wins = sum(
    manifest.paper_flagship in best(r, {k: (v[0], None) for k, v in r.paper.items()})
    for r in theirs
  )
  return (
    f"{names}: best or tied within the intervals in {tied} of {filled} rows that are "
    f"filled, best by the mean in {first}; {manifest.paper_flagship} in the paper: "
    f"best by the mean in {wins} of {len(theirs)}."
  )


def _lines(manifest: Manifest, found: Found) -> list[dict[str, Any]]:
  """Up to three lines a row: here, its second measure, and the paper."""
  lines = []
  for row in manifest.rows:
    there = found.get(row.key, {})
    first = dict(zip(manifest.labels, row.labels, strict=True))
    lines.append(first | {"": "here"} | _here(manifest, row, there))
    blank = dict.fromkeys(manifest.labels, "")
    if row.beside and there:
      lines.append(blank | {"": _word(row)} | _second(manifest, row, there))
    if row.paper:
      lines.append(blank | {"": "paper"} | _theirs(manifest, row))
  return lines


def _word(row: Row) -> str:
  return "x LOGO" if row.beside.endswith("_to_logo") else row.beside


def _here(
  manifest: Manifest, row: Row, there: Mapping[str, Record]
) -> dict[str, str | None]:
  means = _means(row, there)
  bold, digits = best(row, _rivals(manifest, means)), _digits(row, means)
  cells: dict[str, str | None] = {}
  if row.kind == "experiment":
    data = [r["data"] for r in there.values() if r.get("data", {}).get("return")]
    cells["data"] = _cell((data[0]["return"], None), digits) if data else None
  for system in manifest.systems:
    pair = means.get(system.label)
    cells[system.label] = pair and _cell(pair, digits, system.label in bold)
  return cells


def _second(
  manifest: Manifest, row: Row, there: Mapping[str, Record]
) -> dict[str, str | None]:
  cells: dict[str, str | None] = {}
  for record in there.values():
    data = record.get("data", {})
    share = records.normalised(data["return"], data) if data.get("return") else None
    if share is not None and row.beside == "normalised":
      cells["data"] = f"{share:.2f}"
  for system in manifest.systems:
    measure = there.get(system.label, {}).get("measures", {}).get(row.beside)
    cells[system.label] = f"{measure['mean']:.2f}" if measure else None
  return cells


def _theirs(manifest: Manifest, row: Row) -> dict[str, str | None]:
  means = {k: (v[0], v[1] if len(v) > 1 else None) for k, v in row.paper.items()}
  bold = best(row, {k: (mean, None) for k, (mean, _) in means.items()})
  cells: dict[str, str | None] = {}
  shown = set()
  for system in manifest.systems:
    known = system.paper in means and system.paper not in shown
    shown.add(system.paper)
    pair = means[system.paper] if known else None
    digits = _digits(row, means)
    cells[system.label] = pair and _cell(pair, digits, system.paper in bold)
  return cells


def _means(
  row: Row, there: Mapping[str, Record]
) -> dict[str, tuple[float, float | None]]:
  found = {}
  for name, record in there.items():
    measure = record["measures"].get(row.measure)
    if measure and measure["mean"] is not None:
      found[name] = measure["mean"], measure.get("ci95")
  return found


def _rivals(
  manifest: Manifest, means: Mapping[str, tuple[float, float | None]]
) -> dict[str, tuple[float, float | None]]:
  """Without those that are shown for reference alone."""
  references = {system.label for system in manifest.systems if system.reference}
  return {name: pair for name, pair in means.items() if name not in references}


def _cell(pair: tuple[float, float | None], digits: int, bold: bool = False) -> str:
  text = tables.format_mean_ci(*pair, digits=digits)
  return f"**{text}**" if bold else text


def _digits(row: Row, means: Mapping[str, tuple[float, float | None]]) -> int:
  """Large numbers need no decimals, and small ones more."""
  largest = max((abs(mean) for mean, _ in means.values()), default=1.0)
  return 0 if largest >= 100 else 2 if row.better == "greater" else 4


def _width(ci: float | None) -> float:
  return 0.0 if ci is None or math.isnan(ci) else ci


def _remarks(manifest: Manifest, found: Found) -> Iterable[str]:
  every = [record for there in found.values() for record in there.values()]
  yield " ".join(manifest.note.split())
  if any(record["budget"] == "quick" for record in every):
    yield "Budget quick: it shows that all of it works; its figures say nothing."
  yield (
    "Bold: the best of a row, and what is tied with it within 95% intervals; in the "
    f"paper's lines the best mean. {counts(manifest, found)}"
  )
  if any("normalised" in record["measures"] for record in every):
    yield "Normalised: 0 is random play, 1 the expert of the data."
    yield from _aggregate(every)
  there = {record["system"] for record in every}
  missing = [s.label for s in manifest.systems if s.label not in there]
  if missing:
    yield f"Not there yet: {', '.join(missing)}."
  yield from _budgets(every)


def _aggregate(every: Sequence[Record]) -> Iterable[str]:
  """Interquartile means over datasets that systems share, where seeds allow."""
  rows = aggregates.rows(every)
  if rows:
    yield (
      "Interquartile means of the normalised returns, with 95% intervals of a "
      "bootstrap stratified by dataset:"
    )
    yield tables.markdown_table(rows)


def _budgets(every: Sequence[Record]) -> Iterable[str]:
  """How much work stands behind the figures, and the commands."""
  if not every:
    return
  work: dict[str, list[str]] = {}
  for record in every:
    updates = [f"{record['updates']} updates"] * (record["updates"] > 0)
    if record.get("fit_updates"):
      updates.append(f"{record['fit_updates']} of the model's fit")
    said = " after ".join([*updates, ""][:2]).removesuffix(" after ") or "no training"
    seeds = "one seed" if record["num_seeds"] == 1 else f"{record['num_seeds']} seeds"
    names = work.setdefault(f"{said}, {seeds}", [])
    names += [record["system"]] * (record["system"] not in names)
  yield "\n".join(f"- {said}: {', '.join(names)}" for said, names in work.items())
  commands = dict.fromkeys(record["command"] for record in every)
  devices = ", ".join(dict.fromkeys(record["device"] for record in every))
  versions = dict.fromkeys(str(record["versions"]["logo_jax"]) for record in every)
  yield f"Made on {devices} by version {', '.join(versions)} with"
  yield "\n".join(["```bash", *commands, "```"])
