"""Trains the behaviour policies of a scenario and stores snapshots of them.

Example: logo-jax train_behaviour --scenario=smax/2s3z --out=behaviours
"""

import dataclasses
import pathlib
import time

from absl import flags

from logo_jax import types
from logo_jax.behaviours import library, recipes, snapshots
from logo_jax.envs import base

_SCENARIO = flags.DEFINE_string("scenario", "smax/2s3z", "Environment to train in.")
_STEPS = flags.DEFINE_integer(
  "total_steps", None, "Joint environment steps; by default as the shipped ones.", 1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first training.", 0)
_TRAININGS = flags.DEFINE_integer(
  "trainings",
  2,
  "How many, with seeds that follow; but the first they end at medium.",
  1,
)
_OUT = flags.DEFINE_string(
  "out", "behaviours", "Folder to write <suite>/<scenario>/ into."
)
# Robots play on the host, ten times as long.
_HOST = snapshots.Effort(candidates=30, choose_episodes=32, report_episodes=64)


def main(argv: list[str]) -> None:
  del argv
  env = base.make(_SCENARIO.value)
  config = recipes.recipe(_SCENARIO.value)
  if _STEPS.value is not None:
    config = dataclasses.replace(config, total_steps=_STEPS.value)
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)  # what cannot be written is told before
  start = time.monotonic()

  def report(seed: int, steps: int, metrics: dict[str, float]) -> None:
    print(
      f"seed {seed}: {steps:>9} of {config.total_steps} steps"
      f"  wins {metrics['behaviour/win_rate']:6.1%}"
      f"  return {metrics['behaviour/return']:.3f}"
      f"  entropy {metrics['ppo/entropy']:.2f}"
      f"  {time.monotonic() - start:.0f} s",
      flush=True,
    )

  on_host = isinstance(env, types.HostEnvironment)
  effort = _HOST if on_host else snapshots.Effort()
  seeds = range(_SEED.value, _SEED.value + _TRAININGS.value)
  index, params = snapshots.make_library(env, config, seeds, effort, report)
  folder = library.save(out, index, params)
  print(f"random play: return {index.random_return}")
  for entry in index.snapshots:
    print(
      f"{entry.name}: seed {entry.seed}, {entry.steps} steps, wins "
      f"{entry.win_rate:.1%}, return {entry.return_mean}; sampled "
      f"{entry.sampled_win_rate:.1%}, {entry.sampled_return_mean}"
    )
  print(f"written to {folder}; logo-jax collect --behaviours={_OUT.value} plays them")
