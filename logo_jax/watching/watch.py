"""An episode of a run as a film, beside it what the run's world model imagines."""

import os
from typing import NamedTuple

from logo_jax.data import source
from logo_jax.deploy.policy import load_policy
from logo_jax.envs import base
from logo_jax.io import plugins
from logo_jax.runs import playback
from logo_jax.watching import film, scenes
from logo_jax.watching.episode import imagine, play
from logo_jax.watching.stage import Stage


class Options(NamedTuple):
  """What is shown, and how fast."""

  seed: int = 0  # which episode
  greedy: bool = True  # the likeliest actions, or sampled ones
  fps: int = 8  # frames per second
  max_steps: int = 200  # of the episode
  imagine_steps: int = 8  # after which the model begins anew at the real state
  seed_index: int = 0  # which of the run's seeds
  best: bool = False  # the best checkpoint of the learning curve, not the last one


_DEFAULT = Options()


class Film(NamedTuple):
  """What has been written."""

  frames: int
  length: int  # steps of the episode that are shown
  episode_return: float
  over: bool  # the episode ended within them
  won: bool
  imagined: bool  # the model's half is there


def watch(
  run_dir: str | os.PathLike[str],
  out: str | os.PathLike[str],
  options: Options = _DEFAULT,
) -> Film:
  """Plays one episode of a run's policies and writes a film of it.

  Left is what happens. Right, if the run has a world model that predicts states, is
  what the model says: every `imagine_steps` steps it starts at the real state and goes
  on by itself, with the actions that are really taken, so that all that differs is the
  model's doing; real units are outlined behind. Below is the calibrated uncertainty of
  each imagined step. It is the learner's policies that play, also where the run's own
  games are played by a planner around them.

  Args:
    run_dir: a run's folder, finished or not; it is only read.
    out: the file, .gif or (with ffmpeg) .mp4; created or replaced.
    options: see there.

  Raises:
    ValueError: no such run, no checkpoint, a game that cannot be played or drawn, or an
      option out of range; nothing has been written.
    OSError: it cannot be written.
  """
  film.check(out)
  for name in ("fps", "max_steps", "imagine_steps"):
    if getattr(options, name) < 1:
      raise ValueError(f"{name}: must be at least 1, got {getattr(options, name)}")
  config, known = playback.of_run(run_dir)
  scenes.check(known.spec)
  env, why = source.environment(known.card, known.spec)
  if env is None:
    with plugins.explained(run_dir):
      raise ValueError(f"dataset: {config.dataset} cannot be played: {why}")
  policy = load_policy(run_dir, options.seed_index, options.best)
  episode = play(env, policy, options.seed, options.greedy, options.max_steps)
  imagined = imagine(
    *(run_dir, episode, options.imagine_steps, policy.step, options.seed_index)
  )
  title = f"{config.preset} on {config.dataset}, update {policy.step:,}"
  has_wins = base.has_wins(known.spec.name)
  scene = scenes.make(known.spec, episode.rows.state)
  stage = Stage(scene, episode, imagined, title, has_wins)
  frames = episode.length + 1
  film.write(out, stage.figure, stage.draw, frames, options.fps)
  earned = float(episode.returns[-1])
  over, won = episode.over, episode.won
  return Film(frames, episode.length, earned, over, won, imagined is not None)
