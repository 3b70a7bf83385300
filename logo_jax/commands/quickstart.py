"""LOGO beside its baselines on one small dataset, within minutes on two CPU cores.

Makes the dataset if it is missing, then trains behaviour cloning, MACQL on the real
data, and LOGO: a world model, and policies that begin as clones and learn on rollouts
in it. All have the same data and evaluation episodes. An interrupted quickstart goes on
where it stopped.

Example: logo-jax quickstart
"""

import dataclasses
import pathlib
import time

from absl import flags

from logo_jax.configs import config, presets
from logo_jax.io import files
from logo_jax.io.logging import say
from logo_jax.reporting import figures, results, run_outputs, tables
from logo_jax.runs import experiment, outcomes

_DATASET = flags.DEFINE_string(
  "dataset", "smax/2s3z/medium-replay", "<suite>/<scenario>/<quality>."
)
_UPDATES = flags.DEFINE_integer(
  "updates", 4_000, "Learner updates of cloning and MACQL; a multiple of 500."
)
_ITERATIONS = flags.DEFINE_integer(
  "iterations", 120, "Updates of LOGO, each on 512 rollouts; a multiple of 20."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of training.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/quickstart", "Where results go.")

_PRESETS = {
  "bc": "behaviour cloning: imitate the recorded actions",
  "macql": "MACQL: conservative Q-learning on the real data",
  "logo": "LOGO: policies learned on rollouts in a learned world model",
}
# Of LOGO's world model; the second half on windows of several steps.
_FIT = {"updates": 3_000, "unroll_updates": 1_500, "interval": 500}


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
  in_the_model = presets.learns_on_rollouts(values)
  interval = 20 if in_the_model else 500
  if in_the_model:
    fewer = dataclasses.replace(values.learner.config, value_updates=40)
    values = dataclasses.replace(
      values,
      learner=dataclasses.replace(values.learner, config=fewer),
      fit=dataclasses.replace(values.fit, **_FIT),
    )
  return dataclasses.replace(
    values,
    dataset=_DATASET.value,
    data_dir=_DATA_DIR.value,
    seed=_SEED.value,
    total_updates=_ITERATIONS.value if in_the_model else _UPDATES.value,
    evaluation=dataclasses.replace(
      values.evaluation, interval=interval, final_episodes=256
    ),
    checkpoint=config.CheckpointConfig(interval=interval, keep=1),
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
    {
      p: run_outputs.curve_by_share(folder / p, finished[p]["updates"])
      for p in finished
    },
    reference=("dataset", logo["dataset_return"]),
    title=f"{logo['dataset']}, greedy play",
    xlabel="share of the updates",
  )
  files.write_json(folder / "summary.json", finished)
  print(f"\nfigure: {figure}\nsummary: {folder / 'summary.json'}")
