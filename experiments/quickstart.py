"""LOGO beside its baselines on one small dataset, within minutes on two CPU cores.

Makes the dataset if it is missing, then trains behaviour cloning, MACQL on the real
data, and LOGO: same data, same number of updates, same evaluation episodes. An
interrupted quickstart goes on where it stopped.

Example: python experiments/quickstart.py
"""

import dataclasses
import pathlib
import time

from absl import flags

from logo_jax import cli, config, experiment, files, outcomes, presets
from logo_jax.logging import say
from logo_jax.reporting import figures, results, runs, tables

_DATASET = flags.DEFINE_string(
  "dataset", "smax/2s3z/medium-replay", "<suite>/<scenario>/<quality>."
)
_UPDATES = flags.DEFINE_integer(
  "updates", 4_000, "Learner updates of each system; a multiple of 500."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of training.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/quickstart", "Where results go.")

_PRESETS = {
  "bc": "behaviour cloning: imitate the recorded actions",
  "macql": "MACQL: conservative Q-learning on the real data",
  "logo": "LOGO: MACQL on real data and on rollouts of a learned world model",
}
_MODEL_UPDATES = 2_000  # of LOGO's world model


def main(argv: list[str]) -> None:
  del argv
  start = time.monotonic()
  folder = pathlib.Path(_RUN_DIR.value)
  say(f"dataset {_DATASET.value}; device {outcomes.device_name()}")
  finished = {}
  for preset, description in _PRESETS.items():
    say(f"{preset} - {description}")
    outcome = experiment.run(_config(preset), folder / preset)
    if outcome is None:
      return
    finished[preset] = outcome
  say("")
  _report(folder, finished)
  print(f"{time.monotonic() - start:.0f} s; everything is in {folder}/")


def _config(preset: str) -> config.ExperimentConfig:
  values = presets.get(preset)
  return dataclasses.replace(
    values,
    dataset=_DATASET.value,
    data_dir=_DATA_DIR.value,
    seed=_SEED.value,
    total_updates=_UPDATES.value,
    fit=dataclasses.replace(values.fit, updates=_MODEL_UPDATES),
    evaluation=dataclasses.replace(values.evaluation, interval=500, final_episodes=256),
    checkpoint=config.CheckpointConfig(interval=500, keep=1),
  )


def _report(folder: pathlib.Path, finished: dict[str, dict]) -> None:
  logo = finished["logo"]
  systems = [results.system_row(outcome) for outcome in finished.values()]
  print(tables.text_table([results.dataset_row(logo), *systems]))
  print(
    "\nLOGO's world model on held-out episodes, in standard deviations of the state's "
    "features"
  )
  print(tables.text_table(results.model_rows(logo), digits=3))
  figure = folder / "learning_curves.png"
  figures.learning_curves(
    figure,
    {p: runs.curve([folder / p], "evaluation/return") for p in finished},
    reference=("dataset", logo["dataset_return"]),
    title=f"{logo['dataset']}, greedy play",
  )
  files.write_json(folder / "summary.json", finished)
  print(f"\nfigure: {figure}\nsummary: {folder / 'summary.json'}")


if __name__ == "__main__":
  cli.run(main)
