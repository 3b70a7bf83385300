"""Plays a checkpoint of a run, on episodes that training has never used.

Example: logo-jax evaluate --run_dir=runs/a --episodes=512
"""

from absl import flags

from logo_jax.reporting import results, tables
from logo_jax.runs import playback

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run.", required=True)
_EPISODES = flags.DEFINE_integer("episodes", 512, "Episodes per seed.", lower_bound=1)
_BEST = flags.DEFINE_bool(
  "best", False, "The best checkpoint of the learning curve, not the last one."
)
_GREEDY = flags.DEFINE_bool("greedy", True, "The likeliest actions, or sampled ones.")
_ACTOR = flags.DEFINE_enum(
  "actor", None, ["policy", "planner"], "Who plays; as in the run if not given."
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir",
  None,
  "Root folder of datasets, for runs of versions that kept nothing of their dataset; "
  "where the run found it if not given.",
)


def main(argv: list[str]) -> None:
  del argv
  result = playback.evaluate(
    _RUN_DIR.value,
    _EPISODES.value,
    _BEST.value,
    _DATA_DIR.value,
    _GREEDY.value,
    _ACTOR.value,
  )
  print(f"update {result.pop('step')}, {result['episodes']} episodes")
  print(tables.text_table([results.row(_RUN_DIR.value, result)]))
