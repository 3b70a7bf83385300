"""Trains the behaviour policies of a scenario and stores snapshots of them.

Example: python experiments/train_behaviour.py --scenario=smax/2s3z --out=behaviours
"""

import dataclasses
import pathlib
import time

from absl import flags

from logo_jax import cli, types
from logo_jax.behaviours import library, recipes, snapshots
from logo_jax.envs import base

_SCENARIO = flags.DEFINE_string("scenario", "smax/2s3z", "Environment to train in.")
_STEPS = flags.DEFINE_integer(
  "total_steps", None, "Joint environment steps; by default as the shipped ones.", 1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_SNAPSHOTS = flags.DEFINE_integer(
  "num_snapshots", 8, "Snapshots to keep, or one more for medium.", 2
)
_OUT = flags.DEFINE_string(
  "out", "behaviours", "Folder to write <suite>/<scenario>/ into."
)
# Candidates and episodes of each one's evaluation: in JAX, and on the host.
_COMPILED, _HOST = (60, 512), (30, 32)


def main(argv: list[str]) -> None:
  del argv
  env = base.make(_SCENARIO.value)
  config = recipes.recipe(_SCENARIO.value)
  if _STEPS.value is not None:
    config = dataclasses.replace(config, total_steps=_STEPS.value)
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)  # what cannot be written is told before
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

  on_host = isinstance(env, types.HostEnvironment)
  num_candidates, episodes = _HOST if on_host else _COMPILED
  candidates = snapshots.train(env, config, _SEED.value, num_candidates, report=report)
  print(f"evaluating {len(candidates)} candidates", flush=True)
  index, params = snapshots.make_library(
    env, candidates, (config, _SEED.value), _SNAPSHOTS.value, episodes
  )
  folder = library.save(out, index, params)
  print(f"random play: return {index.random_return}")
  for entry in index.snapshots:
    print(
      f"{entry.name}: {entry.steps} steps, wins {entry.win_rate:.1%}, "
      f"return {entry.return_mean}"
    )
  print(f"written to {folder}; collect.py --behaviours={_OUT.value} plays them")


if __name__ == "__main__":
  cli.run(main)
