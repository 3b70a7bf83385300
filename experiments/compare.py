"""Many systems on the same data: one command for a whole table of results.

Each system trains with its preset's settings but for the budget, `--num_seeds` runs
side by side. Systems that share a world model fit it once, or take over one that has
been fitted (`--fits`). An interrupted comparison goes on where it stopped, and one with
more systems keeps what is finished. An entry of `--presets` may change fields and name
the result: `late@logo:horizon=15`.

Example: python experiments/compare.py --datasets=smax/2s3z/medium --run_dir=runs/all
"""

import dataclasses
import functools
import pathlib
from typing import Any

from absl import flags

from logo_jax import (
  cli,
  config,
  entries,
  experiment,
  files,
  fits,
  model_study,
  outcomes,
  presets,
)
from logo_jax.logging import say
from logo_jax.reporting import figures, results, runs, tables

_DATASETS = flags.DEFINE_list(
  "datasets", ["smax/2s3z/medium", "mamujoco/hopper-3x1/medium"], "Which data."
)
_PRESETS = flags.DEFINE_list(
  "presets",
  "bc,macql,cfcql,omar,omiga,logo,logo_macql,logo_cfcql,logo_omar,logo_omiga".split(
    ","
  ),
  "Which systems.",
)
_SEEDS = flags.DEFINE_integer("num_seeds", 3, "Runs of each system.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first run.")
_UPDATES = flags.DEFINE_integer(
  "updates",
  6_000,
  "Learner updates of each run, a multiple of 500; those on rollouts keep their own.",
  500,
)
_FIT_UPDATES = flags.DEFINE_integer(
  "fit_updates", 0, "Of world models; 0: the preset's; an entry's field wins.", 0
)
_FITS = flags.DEFINE_list(
  "fits", [], "Runs whose world models are taken over: folders, of model_error.py too."
)
_EPISODES = flags.DEFINE_integer("episodes", 512, "Final episodes of each run.", 1)
_CURVE = flags.DEFINE_integer("curve_episodes", 128, "Of a learning curve's point.", 1)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/compare", "Where results go.")


def main(argv: list[str]) -> None:
  del argv
  base = functools.partial(model_study.of_budget, updates=_FIT_UPDATES.value)
  entries.check_some("datasets", _DATASETS.value)
  systems = entries.systems(_PRESETS.value, base)
  _check_flags(systems)
  models = fits.find(_FITS.value, _DATASETS.value, systems.values())
  for name in _DATASETS.value:
    for label, preset in systems.items():
      experiment.check(_config(preset, name, models[name]), _folder(name) / label)
  for name in _DATASETS.value:
    folder, finished = _folder(name), {}
    for label, preset in systems.items():
      say(f"{label} on {name}")
      outcome = experiment.run(_config(preset, name, models[name]), folder / label)
      if outcome is None:
        return
      finished[label] = outcome
      if preset.model is not None:
        models[name][fits.key(preset)] = str((folder / label).absolute())
      _report(name, folder, finished)
    print(f"{name}\n{tables.text_table(_rows(finished))}")
    print(f"everything is in {folder}/")


def _check_flags(systems: dict[str, config.ExperimentConfig]) -> None:
  """Refuses budgets that do not divide, and fields of an entry that flags decide."""
  if _UPDATES.value % 500:
    raise ValueError(f"updates: must be a multiple of 500, got {_UPDATES.value}")
  entries.check_decided("presets", systems)


def _folder(dataset: str) -> pathlib.Path:
  return pathlib.Path(_RUN_DIR.value) / dataset.replace("/", "-")


def _config(
  values: config.ExperimentConfig, dataset: str, models: dict[str, str]
) -> config.ExperimentConfig:
  own = presets.learns_on_rollouts(values)
  total = values.total_updates if own else _UPDATES.value
  interval = total // 2
  model_run = models.get(fits.key(values), "")
  return dataclasses.replace(
    values,
    dataset=dataset,
    data_dir=_DATA_DIR.value,
    seed=_SEED.value,
    num_seeds=_SEEDS.value,
    total_updates=total,
    model_run=fits.as_begun(_folder(dataset) / values.preset, model_run),
    evaluation=dataclasses.replace(
      values.evaluation,
      interval=interval,
      episodes=_CURVE.value,
      final_episodes=_EPISODES.value,
    ),
    checkpoint=config.CheckpointConfig(interval=interval, keep=1),
  )


def _rows(finished: dict[str, dict]) -> list[dict[str, Any]]:
  rows = [results.dataset_row(next(iter(finished.values())))]
  rows += [results.system_row(outcome) for outcome in finished.values()]
  return rows


def _report(dataset: str, folder: pathlib.Path, finished: dict[str, dict]) -> None:
  """The table so far as Markdown, the figure, and everything as JSON."""
  first = next(iter(finished.values()))
  budget = f"{first['num_seeds']} seeds, {_UPDATES.value} updates (on rollouts fewer)"
  over = first.get("ci95_over", "nothing")
  note = f"{budget}, {outcomes.device_name()}; 95% intervals over {over}"
  table = f"{dataset}: {note}\n\n{tables.markdown_table(_rows(finished))}\n"
  files.write_text(folder / "table.md", table)
  files.write_json(folder / "summary.json", finished)
  if "return_mean" in first:
    figures.learning_curves(
      folder / "learning_curves.png",
      {p: runs.curve_by_share(folder / p, finished[p]["updates"]) for p in finished},
      reference=("dataset", first["dataset_return"]),
      title=f"{dataset}, greedy play",
      xlabel="share of the updates",
    )


if __name__ == "__main__":
  cli.run(main)
