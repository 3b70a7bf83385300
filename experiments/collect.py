"""Makes a dataset by playing the shipped behaviour policies.

Example: python experiments/collect.py --dataset=smax/2s3z/medium-replay --out=data
"""

import time

from absl import flags

from logo_jax import cli
from logo_jax.data import collect, store

_DATASET = flags.DEFINE_string(
  "dataset", "smax/2s3z/medium-replay", "<suite>/<scenario>/<quality>."
)
_TRANSITIONS = flags.DEFINE_integer(
  "num_transitions", 100_000, "At least so many joint transitions, whole episodes only."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_OUT = flags.DEFINE_string("out", "data", "Root folder of datasets.")


def main(argv: list[str]) -> None:
  del argv
  start = time.monotonic()
  folder = collect.collect(_DATASET.value, _TRANSITIONS.value, _SEED.value, _OUT.value)
  card = store.read(folder, verify=False).card
  print(
    f"{folder}: {card['num_transitions']} transitions, {card['num_episodes']} episodes"
    f" of {card['length_mean']:.1f} steps, return {card['return_mean']:.3f}"
    f" +- {card['return_std']:.3f}, wins {card['win_rate']:.1%},"
    f" {time.monotonic() - start:.0f} s"
  )


if __name__ == "__main__":
  cli.run(main)
