"""The tables of the paper by one command, beside its numbers.

What a table needs stands in `logo_jax/sweep/tables/<table>.toml`. Datasets are made,
world models fitted once for all systems that share them, and `--workers` processes work
side by side; what is finished is not done again, what was interrupted, however, goes on
where it was, and what fails is named at the end. Tables share runs, each budget in a
folder of its own. Systems that are not in this version are named.

Results go to `<results>/<table>/<budget>/`: a small JSON for each cell of the table,
and table.md, table.tex, long.csv and learning curves, made of these alone, which
`--render` does again without running anything.

Example: logo-jax reproduce --table=6 --budget=quick --workers=2
"""

import pathlib
import sys

from absl import flags

from logo_jax.logging import say
from logo_jax.reporting import export, records
from logo_jax.sweep import (
  budgets,
  cells,
  manifest,
  paper_table,
  pool,
  preview,
  reproduce,
)
from logo_jax.sweep.manifest import Manifest
from logo_jax.sweep.reproduce import Planned

_TABLES = sorted(path.stem for path in manifest.FOLDER.glob("*.toml"))
_CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

_TABLE = flags.DEFINE_multi_enum("table", [], _TABLES, "Which; may be given again.")
_ALL = flags.DEFINE_bool("all", False, "All of them.")
_BUDGET = flags.DEFINE_enum("budget", "standard", list(budgets.BUDGETS), "Of each run.")
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes side by side.", 1)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would be done, and its cost.")
_RENDER = flags.DEFINE_bool("render", False, "Make tables of the results there are.")
_DATASETS = flags.DEFINE_list("datasets", [], "Rows of these alone.")
_SYSTEMS = flags.DEFINE_list("systems", [], "Columns of these alone.")
_FIGURES = flags.DEFINE_bool("figures", True, "Draw learning curves with --render.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first run.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/paper", "Where the runs go.")
_RESULTS = flags.DEFINE_string(
  "results", None, "Where results are; RUN_DIR/results, to --render a checkout's own."
)


def main(argv: list[str]) -> None:
  del argv
  names = (
    _TABLES if _ALL.value or (_RENDER.value and not _TABLE.value) else _TABLE.value
  )
  if not names:
    raise ValueError("table: name one, --table=2, or --all of them")
  chosen = [manifest.read(manifest.FOLDER / f"{name}.toml") for name in names]
  if _RENDER.value:
    _render(chosen)
    return
  root = pathlib.Path(_RUN_DIR.value) / _BUDGET.value
  planned = [reproduce.plan(table, _options(root)) for table in chosen]
  _say_left_out(planned)
  plan = cells.merged(cell for table in planned for cell in table.cells)
  preview.show(plan, root, _WORKERS.value)
  if _DRY_RUN.value:
    return
  outcome = pool.run(plan, root, _WORKERS.value)
  for table in planned:
    _report(table, root)
  pool.report_left(outcome)
  if not outcome.complete():
    sys.exit(1)


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
      say(f"table {table.manifest.table}: left out: {what}: {why}")


def _report(table: Planned, root: pathlib.Path) -> None:
  """The table of all records of its budget, those of former calls among them."""
  out = _results() / table.manifest.table / table.budget
  if not reproduce.write_records(table, root, out):
    say(f"table {table.manifest.table}: nothing is finished")
    return
  print(paper_table.render(table.manifest, out))
  paper_table.draw(table.manifest, out)
  every = [
    record for record in records.read_folder(out).values() if record["updates"] > 0
  ]
  if every:
    export.write(root / "export" / table.manifest.table, every)
  print(f"everything is in {out}/")


def _render(chosen: list[Manifest]) -> None:
  for table in chosen:
    for folder in sorted((_results() / table.table).glob("*/")):
      paper_table.render(table, folder)
      if _FIGURES.value:
        paper_table.draw(table, folder)
      print(folder / "table.md")


def _results() -> pathlib.Path:
  if _RESULTS.value is not None:
    return pathlib.Path(_RESULTS.value)
  if _RENDER.value and (_CHECKOUT / "experiments").is_dir():
    return _CHECKOUT / "results"
  return pathlib.Path(_RUN_DIR.value) / "results"
