"""The tables and figures of the paper by one command, beside its numbers.

What a table needs stands in `logo_jax/sweep/tables/<table>.toml`, what a figure needs
in `logo_jax/sweep/figures/<figure>.toml`. Datasets are made, world models fitted once
for all systems that share them, and `--workers` processes work side by side; what is
finished is not done again, what was interrupted, however, goes on where it was, and
what fails is named at the end. Hosts share the datasets out by `--num_processes` and
`--process_id`, or under `srun`. Tables and figures share runs, each budget in a folder
of its own. Systems that are not in this version are named.

Results go to `<results>/<table>/<budget>/`: a small JSON for each cell of the table,
and table.md, table.tex, long.csv and learning curves, made of these alone, which
`--render` does again without running anything. Those of figures go to
`<results>/figure<figure>/<budget>/`, with figure.md and a picture of each dataset.

Examples:
  logo-jax reproduce --table=6 --budget=quick --workers=2
  logo-jax reproduce --figure=3 --budget=quick --datasets=smax/2s3z/medium-replay
"""

import pathlib
import sys

from absl import flags

from logo_jax.io.logging import say
from logo_jax.reporting import export, records
from logo_jax.sweep import (
  budgets,
  cells,
  figure_manifest,
  manifest,
  paper_figure,
  paper_table,
  pool,
  preview,
  reproduce,
  shares,
)
from logo_jax.sweep.figure_manifest import Figure
from logo_jax.sweep.manifest import Manifest
from logo_jax.sweep.reproduce import Planned

_TABLES = sorted(path.stem for path in manifest.FOLDER.glob("*.toml"))
_PICTURES = sorted(path.stem for path in figure_manifest.FOLDER.glob("*.toml"))
_CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

_TABLE = flags.DEFINE_multi_enum("table", [], _TABLES, "Which; may be given again.")
_FIGURE = flags.DEFINE_multi_enum("figure", [], _PICTURES, "Likewise, of figures.")
_ALL = flags.DEFINE_bool("all", False, "All of them.")
_BUDGET = flags.DEFINE_enum("budget", "standard", list(budgets.BUDGETS), "Of each run.")
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes side by side.", 1)
_NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "How many processes, on whatever hosts, share the datasets."
)
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would be done, and its cost.")
_RENDER = flags.DEFINE_bool("render", False, "Make them of the results there are.")
_DATASETS = flags.DEFINE_list("datasets", [], "Rows of these; figures of these.")
_SYSTEMS = flags.DEFINE_list("systems", [], "Columns of these alone.")
_FIGURES = flags.DEFINE_bool("figures", True, "Draw pictures with --render.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first run.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/paper", "Where the runs go.")
_RESULTS = flags.DEFINE_string(
  "results", None, "Where results are; RUN_DIR/results, to --render a checkout's own."
)


def main(argv: list[str]) -> None:
  del argv
  named = bool(_TABLE.value or _FIGURE.value)
  if not named and not _ALL.value and not _RENDER.value:
    raise ValueError("table: name one, --table=2, or --figure=3, or --all of them")
  tables, figures = _chosen(_ALL.value or not named)
  if _RENDER.value:
    _render(tables, figures)
    return
  root = pathlib.Path(_RUN_DIR.value) / _BUDGET.value
  wanted = tables + [figure.on(_DATASETS.value) for figure in figures]
  options = _options(root)
  reproduce.check_names(wanted, options)
  planned = [reproduce.plan(table, options) for table in wanted]
  _say_left_out(planned)
  plan = cells.merged(cell for table in planned for cell in table.cells)
  share = shares.told(_NUM_PROCESSES.value, _PROCESS_ID.value)
  preview.show(plan, root, _WORKERS.value, share)
  if _DRY_RUN.value:
    return
  outcome = pool.run(plan, root, _WORKERS.value, share=share)
  for table in planned[: len(tables)]:
    _report(table, root)
  for figure, table in zip(figures, planned[len(tables) :], strict=True):
    _report_figure(figure, table, root)
  pool.report_left(outcome)
  if not outcome.complete():
    sys.exit(1)


def _chosen(every: bool) -> tuple[list[Manifest], list[Figure]]:
  """The tables and figures that are named, or all."""
  tables = _TABLES if every else _TABLE.value
  figures = _PICTURES if every else _FIGURE.value
  return (
    [manifest.read(manifest.FOLDER / f"{name}.toml") for name in tables],
    [figure_manifest.read(figure_manifest.FOLDER / f"{name}.toml") for name in figures],
  )


def _options(root: pathlib.Path) -> reproduce.Options:
  return reproduce.Options(
    root=str(root),
    budget=_BUDGET.value,
    data_dir=_DATA_DIR.value,
    seed=_SEED.value,
    datasets=tuple(_DATASETS.value),
    systems=tuple(_SYSTEMS.value),
  )


def _say_left_out(planned: list[Planned]) -> None:
  for table in planned:
    for what, why in table.left_out.items():
      say(f"{table.manifest.name}: left out: {what}: {why}")


def _report(table: Planned, root: pathlib.Path) -> None:
  """The table of all records of its budget, those of former calls among them."""
  out = _results() / table.manifest.table / table.budget
  if not reproduce.write_records(table, root, out):
    say(f"{table.manifest.name}: nothing is finished")
    return
  print(paper_table.render(table.manifest, out))
  paper_table.draw(table.manifest, out)
  every = [
    record for record in records.read_folder(out).values() if record["updates"] > 0
  ]
  if every:
    export.write(root / "export" / table.manifest.table, every)
  print(f"everything is in {out}/")


def _report_figure(figure: Figure, table: Planned, root: pathlib.Path) -> None:
  """The pictures of all records of its budget."""
  out = _results() / table.manifest.table / table.budget
  if not reproduce.write_records(table, root, out):
    say(f"{table.manifest.name}: nothing is finished")
    return
  print(paper_figure.render(figure, out))
  for path in paper_figure.draw(figure, out):
    print(path)


def _render(tables: list[Manifest], figures: list[Figure]) -> None:
  names = [table.table for table in tables]
  names += [f"figure{figure.figure}" for figure in figures]
  found = {name: sorted((_results() / name).glob("*/")) for name in names}
  if not any(found.values()):
    raise ValueError(
      f"results: {_results()} has no folder <table>/<budget>, where the table is "
      f"{' or '.join(names)}; name one that has"
    )
  for table in tables:
    for folder in found[table.table]:
      paper_table.render(table, folder)
      if _FIGURES.value:
        paper_table.draw(table, folder)
      print(folder / "table.md")
  for figure in figures:
    for folder in found[f"figure{figure.figure}"]:
      paper_figure.render(figure, folder)
      for path in paper_figure.draw(figure, folder) if _FIGURES.value else []:
        print(path)


def _results() -> pathlib.Path:
  if _RESULTS.value is not None:
    return pathlib.Path(_RESULTS.value)
  if _RENDER.value and (_CHECKOUT / "experiments").is_dir():
    return _CHECKOUT / "results"
  return pathlib.Path(_RUN_DIR.value) / "results"
