"""Plays an episode of a run and draws it, beside it what its world model imagines.

Example: logo-jax watch --run_dir=runs/a --out=episode.gif
"""

from absl import flags

from logo_jax.watching.watch import Options, watch

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run.", required=True)
_OUT = flags.DEFINE_string(
  "out", None, "File to write: .gif, or .mp4 where there is an ffmpeg.", required=True
)
_SEED = flags.DEFINE_integer("seed", 0, "Which episode.", lower_bound=0)
_GREEDY = flags.DEFINE_bool("greedy", True, "The likeliest actions, or sampled ones.")
_FPS = flags.DEFINE_integer(
  "fps", 8, "Frames, which are steps, per second.", lower_bound=1, upper_bound=50
)
_MAX_STEPS = flags.DEFINE_integer(
  "max_steps", 200, "The most steps of the episode that are shown.", lower_bound=1
)
_IMAGINE_STEPS = flags.DEFINE_integer(
  "imagine_steps",
  8,
  "Steps after which the world model begins anew at the real state.",
  lower_bound=1,
)
_SEED_INDEX = flags.DEFINE_integer(
  "seed_index", 0, "Which of the run's seeds, from 0 on.", lower_bound=0
)
_BEST = flags.DEFINE_bool(
  "best", False, "The best checkpoint of the learning curve, not the last one."
)


def main(argv: list[str]) -> None:
  del argv
  options = Options(
    seed=_SEED.value,
    greedy=_GREEDY.value,
    fps=_FPS.value,
    max_steps=_MAX_STEPS.value,
    imagine_steps=_IMAGINE_STEPS.value,
    seed_index=_SEED_INDEX.value,
    best=_BEST.value,
  )
  shown = watch(_RUN_DIR.value, _OUT.value, options)
  print(f"{_OUT.value}: {shown.frames} frames, return {shown.episode_return:.2f}")
  if not shown.imagined:
    print("the run has no world model that predicts states: the game alone is shown")
