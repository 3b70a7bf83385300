"""A grid of systems and datasets by one command: plan, runs, table and figure.

Each system trains with its preset's settings but for the budget, `--seeds` runs side by
side in one program. Systems that share a world model fit it once, or take over one that
has been fitted (`--fits`). `--workers=2` processes work side by side. What is finished
is not done again, what was interrupted, however, goes on where it stopped, and what
fails is named at the end. An entry of `--systems` may change fields and name the
result: `late@logo:horizon=15`. Hosts share the datasets out by `--num_processes` and
`--process_id`, or under `srun`. `--dry_run` says what would be done, and how long it
would take.

For each dataset it leaves a table, a figure and `summary.json`; `long.csv` has every
figure of every seed, and `scores.npz`, `scores.json` and `marl_eval.json` are for
rliable and marl-eval.

Example: logo-jax sweep --datasets=smax/2s3z/medium --run_dir=runs/all
"""

from collections.abc import Collection, Iterable
import dataclasses
import pathlib
import sys
from typing import Any

from absl import flags

from logo_jax.configs.config import ExperimentConfig
from logo_jax.io import files
from logo_jax.io.logging import say
from logo_jax.reporting import export, figures, records, results, run_outputs, tables
from logo_jax.runs import fits, outcomes
from logo_jax.sweep import budgets, cells, grid, pool, preview, shares
from logo_jax.sweep.budgets import Budget

_DATASETS = flags.DEFINE_list(
  "datasets", ["smax/2s3z/medium", "mamujoco/hopper-3x1/medium"], "Which data."
)
_SYSTEMS = flags.DEFINE_list(
  "systems",
  "bc,macql,cfcql,omar,omiga,logo,logo_macql,logo_cfcql,logo_omar,logo_omiga".split(
    ","
  ),
  "Which systems: presets, with other fields and a label where wanted.",
)
_BUDGET = flags.DEFINE_enum("budget", "standard", list(budgets.BUDGETS), "Of each.")
_SEEDS = flags.DEFINE_integer("seeds", None, "Runs of each system, side by side.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first run.")
_UPDATES = flags.DEFINE_integer(
  "updates", None, "Of learners on batches; a multiple of 500.", 1
)
_ROLLOUTS = flags.DEFINE_integer("rollout_updates", None, "Of those on rollouts.", 1)
_FIT = flags.DEFINE_integer("fit_updates", None, "Of models; 0: the presets'.", 0)
_FITS = flags.DEFINE_list(
  "fits", [], "Fits that are taken over: folders, of model_error.py too."
)
_EPISODES = flags.DEFINE_integer("episodes", None, "Final episodes of each run.", 1)
_CURVE = flags.DEFINE_integer("curve_episodes", None, "Of a curve's point.", 1)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes side by side.", 1)
_NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "How many processes, on whatever hosts, share the datasets."
)
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would be done, and its cost.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/sweep", "Where results go.")


def main(argv: list[str]) -> None:
  del argv
  root, budget = pathlib.Path(_RUN_DIR.value), _budget()
  datasets = grid.datasets(_DATASETS.value, _DATA_DIR.value)
  systems = budgets.systems("systems", _SYSTEMS.value, budget)
  at_hand = fits.find(_FITS.value, datasets, systems.values())
  named = [
    (f"{cells.slug(name)}/{label}", _config(values, budget, name))
    for name in _DATASETS.value
    for label, values in systems.items()
  ]
  plan = grid.experiments(named, root, at_hand)
  share = shares.told(_NUM_PROCESSES.value, _PROCESS_ID.value)
  preview.show(plan, root, _WORKERS.value, share)
  if _DRY_RUN.value:
    return
  outcome = pool.run(plan, root, _WORKERS.value, share=share)
  _report(root, systems, outcome.done)
  pool.report_left(outcome)
  if not outcome.complete():
    sys.exit(1)


def _budget() -> Budget:
  host, host_curve = _EPISODES.value, _CURVE.value  # what a flag says is for all
  given = {
    "updates": _UPDATES.value,
    "rollout_updates": _ROLLOUTS.value,
    "fit_updates": _FIT.value,
    "num_seeds": _SEEDS.value,
    "episodes": _EPISODES.value,
    "curve_episodes": _CURVE.value,
    "host_episodes": host,
    "host_curve_episodes": host_curve,
  }
  if _UPDATES.value and _UPDATES.value % 500:
    raise ValueError(f"updates: must be a multiple of 500, got {_UPDATES.value}")
  known = {k: v for k, v in given.items() if v is not None}
  return budgets.of_values(_BUDGET.value, known)


def _config(values: ExperimentConfig, budget: Budget, dataset: str) -> ExperimentConfig:
  made = budgets.spent(values, budget, dataset, _SEED.value)
  return dataclasses.replace(made, data_dir=_DATA_DIR.value)


def _report(root: pathlib.Path, systems: Iterable[str], done: Collection[str]) -> None:
  """What is finished: of each dataset table and figure, and the long table of all.

  Args:
    root: the folder of all.
    systems: their labels.
    done: names of cells that are finished; what others have left is not looked at.
  """
  every = []
  for name in _DATASETS.value:
    folder = root / cells.slug(name)
    there = [s for s in systems if f"{folder.name}/{s}" in done]
    finished = {label: run_outputs.read_results(folder / label) for label in there}
    if finished:
      _report_dataset(name, folder, finished)
    every += [
      records.of_run(folder / s, _BUDGET.value, " ".join(sys.argv)) for s in there
    ]
  if every:
    records.write_csv(root / "long.csv", every)
    export.write(root, every)
    print(f"everything is in {root}/")


def _report_dataset(dataset: str, folder: pathlib.Path, finished: dict) -> None:
  first: dict[str, Any] = next(iter(finished.values()))
  rows = [results.dataset_row(first), *map(results.system_row, finished.values())]
  print(f"{dataset}\n{tables.text_table(rows)}")
  updates = sorted({outcome["updates"] for outcome in finished.values()})
  budget = f"{first['num_seeds']} seeds, {' or '.join(map(str, updates))} updates"
  over = first.get("ci95_over", "nothing")
  note = f"{budget}, {outcomes.device_name()}; 95% intervals over {over}"
  table = f"{dataset}: {note}\n\n{tables.markdown_table(rows)}\n"
  files.write_text(folder / "table.md", table)
  files.write_json(folder / "summary.json", finished)
  if "return_mean" not in first:
    say(f"policies of {dataset} were not played: there is no figure")
    return
  figures.learning_curves(
    folder / "learning_curves.png",
    {
      p: run_outputs.curve_by_share(folder / p, finished[p]["updates"])
      for p in finished
    },
    reference=("dataset", first["dataset_return"]),
    title=f"{dataset}, greedy play",
    xlabel="share of the updates",
  )
