"""Trains the behaviour policies of a scenario and stores snapshots of them.

Example: python experiments/train_behaviour.py --scenario=smax/2s3z --out=behaviours
"""

import pathlib
import time

from absl import flags

from logo_jax import cli
from logo_jax.behaviours import library, ppo, snapshots
from logo_jax.envs import base

_SCENARIO = flags.DEFINE_string("scenario", "smax/2s3z", "Environment to train in.")
_STEPS = flags.DEFINE_integer("total_steps", 1_500_000, "Joint environment steps.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_SNAPSHOTS = flags.DEFINE_integer("num_snapshots", 8, "Snapshots to keep.", 2)
_OUT = flags.DEFINE_string("out", "behaviours", "Folder to write <scenario>/ into.")


def main(argv: list[str]) -> None:
  del argv
  env = base.make_jittable(_SCENARIO.value)
  config = ppo.Config(total_steps=_STEPS.value)
  start = time.monotonic()

  def report(steps: int, metrics) -> None:
    print(
      f"{steps:>9} of {config.total_steps} steps"
      f"  wins {float(metrics['behaviour/win_rate']):6.1%}"
      f"  return {float(metrics['behaviour/return']):.3f}"
      f"  entropy {float(metrics['ppo/entropy']):.2f}"
      f"  {time.monotonic() - start:.0f} s",
      flush=True,
    )

  candidates = snapshots.train(env, config, _SEED.value, report=report)
  print(f"evaluating {len(candidates)} candidates", flush=True)
  index, params = snapshots.make_library(env, candidates, _SEED.value, _SNAPSHOTS.value)
  folder = pathlib.Path(_OUT.value) / _SCENARIO.value.partition("/")[2]
  library.save(folder, index, params)
  print(f"random play: return {index.random_return}")
  for entry in index.snapshots:
    print(
      f"{entry.name}: {entry.steps} steps, wins {entry.win_rate:.1%}, "
      f"return {entry.return_mean}"
    )
  print(f"written to {folder}; collect.py plays what lies in {library.PARAMS_FOLDER}")


if __name__ == "__main__":
  cli.run(main)
