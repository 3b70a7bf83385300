"""Writes a run's policies as weights and programs that JAX runs without this library.

Example: logo-jax export --run_dir=runs/a --out=exported
"""

from absl import flags

from logo_jax.deploy.export import export

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run.", required=True)
_OUT = flags.DEFINE_string("out", None, "Folder to write.", required=True)
_SEED_INDEX = flags.DEFINE_integer(
  "seed_index", 0, "Which of the run's seeds, from 0 on.", lower_bound=0
)
_BEST = flags.DEFINE_bool(
  "best", False, "The best checkpoint of the learning curve, not the last one."
)
_BATCH_SIZE = flags.DEFINE_integer(
  "batch_size", None, "Of what the programs take; any if not given.", lower_bound=1
)


def main(argv: list[str]) -> None:
  del argv
  print(
    export(
      _RUN_DIR.value, _OUT.value, _SEED_INDEX.value, _BEST.value, _BATCH_SIZE.value
    )
  )
