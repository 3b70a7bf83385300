"""Trains behaviour policies and picks snapshots with spread-out levels."""

from collections.abc import Callable, Sequence
import dataclasses
import json
from typing import Any, NamedTuple

import jax
import numpy as np

from logo_jax import ranges, types
from logo_jax.behaviours import library, play, policy, ppo, qualities
from logo_jax.envs import base

# Levels are spaced as k^_SPREAD: even spacing (1) would spend most snapshots on play
# that hardly ever wins.
_SPREAD = 0.6


class Candidate(NamedTuple):
  """A policy on the way."""

  steps: int
  params: policy.PolicyParams


def train(
  env: play.AnyEnvironment,
  config: ppo.Config,
  seed: int,
  num_candidates: int = 60,
  report: Callable[[int, types.Metrics], None] = lambda steps, metrics: None,
) -> list[Candidate]:
  """Trains one policy and keeps it at even intervals, the untrained one first.

  Args:
    env: the environment.
    config: hyper-parameters.
    seed: of everything random.
    num_candidates: how often to keep it, at most; the end is among them.
    report: called after each interval with the steps so far and mean metrics.

  Raises:
    ValueError: the settings do not fit together.
  """
  ppo.check(config)
  ranges.check_seed("seed", seed, 2)  # the next one is the evaluations'
  chunk = -(-config.num_updates // num_candidates)
  num_chunks = config.num_updates // chunk
  config = dataclasses.replace(
    config, total_steps=num_chunks * chunk * config.steps_per_update
  )
  init, run = play.make_trainer(env, config, chunk)
  carry = init(jax.random.key(seed))

  def keep(steps: int) -> Candidate:
    actor = ppo.actor(carry.learner, config)
    return Candidate(steps, jax.tree.map(np.array, actor))

  candidates = [keep(0)]
  for done in range(1, num_chunks + 1):
    carry, metrics = run(carry)
    steps = done * chunk * config.steps_per_update
    candidates.append(keep(steps))
    report(steps, metrics)
  return candidates


def choose(returns: Sequence[float], num: int) -> list[int]:
  """Picks candidates whose mean returns are spread out, denser toward the best.

  Args:
    returns: mean return of each candidate, in order of training.
    num: how many to pick, at least 2.

  Returns:
    Increasing positions, the first candidate and the best one included; fewer than
    `num` where the best one comes early.
  """
  best = int(np.argmax(returns))
  picked = [0]
  for share in np.linspace(0.0, 1.0, num)[1:-1] ** _SPREAD:
    level = returns[0] + share * (returns[best] - returns[0])
    later = range(picked[-1] + 1, best)
    if later:
      picked.append(min(later, key=lambda i: abs(returns[i] - level)))
  return [*picked, best] if best else picked


def make_library(
  env: play.AnyEnvironment,
  candidates: list[Candidate],
  training: tuple[ppo.Config, int],
  num_snapshots: int,
  num_episodes: int = 512,
) -> tuple[library.Index, list[Any]]:
  """Evaluates candidates and picks some.

  The candidate nearest to the medium level is picked beside those of `choose`. The
  index's figures come from other episodes than the choice, which flatters.

  Args:
    env: the environment.
    candidates: from `train`.
    training: its hyper-parameters and seed; the evaluations' keys derive from it.
    num_snapshots: how many to keep, or one more.
    num_episodes: of each evaluation.

  Returns:
    The index and the snapshots' parameters, for `library.save`.

  Raises:
    ValueError: a candidate's return is not finite.
  """
  config, seed = training
  evaluate = play.make_evaluate(env, num_episodes)
  k_choose, k_report, k_random = jax.random.split(jax.random.key(seed + 1), 3)
  random_play = evaluate(candidates[0].params, 1.0, k_random)

  def score(picked: Sequence[int], key: jax.Array) -> tuple[library.Snapshot, ...]:
    entries = []
    for k, i in enumerate(picked):
      steps, params = candidates[i]
      result = evaluate(params, 0.0, jax.random.fold_in(key, k))
      entries.append(
        library.Snapshot(
          name=f"{env.spec.name}/{k}",
          steps=steps,
          episodes=num_episodes,
          win_rate=round(float(result.win_rate), 4),
          return_mean=round(float(result.return_mean), 4),
        )
      )
    return tuple(entries)

  index = library.Index(
    environment=env.spec.name,
    random_return=round(float(random_play.return_mean), 4),
    seed=seed,
    recipe=json.loads(json.dumps(dataclasses.asdict(config))),
    versions=base.versions(env.spec.name),
    snapshots=score(range(len(candidates)), k_choose),
  )
  returns = [entry.return_mean for entry in index.snapshots]
  if not np.isfinite(returns).all():
    raise ValueError(f"training has diverged: returns are {returns}")
  picked = choose(returns, num_snapshots)
  medium = index.snapshots.index(qualities.medium(index))
  picked = sorted({*picked, medium})
  index = dataclasses.replace(index, snapshots=score(picked, k_report))
  return index, [candidates[i].params for i in picked]
