"""Trains behaviour policies and picks snapshots with spread-out levels."""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import json
from typing import Any, NamedTuple

import jax
import numpy as np

from logo_jax.behaviours import library, play, policy, ppo, qualities
from logo_jax.checks import ranges
from logo_jax.envs import base

Report = Callable[[int, int, dict[str, float]], None]  # seed, steps, mean metrics
LEVELS = tuple(k / 10 for k in range(11))  # of the snapshots: shares of the expert's
# A further training ends where it is safely beyond medium.
_FAR_ENOUGH = qualities.MEDIUM_LEVEL + 0.1


@dataclasses.dataclass(frozen=True)
class Effort:
  """How closely training is watched."""

  candidates: int = 100  # policies that are kept on the way of a training
  choose_episodes: int = 256  # in which each is judged
  report_episodes: int = 512  # others, in which those that are chosen are judged again


class Candidate(NamedTuple):
  """A policy on the way."""

  steps: int
  params: policy.PolicyParams


def schedule(num_updates: int, num: int) -> list[int]:
  """After how many updates a policy is kept: closely at first, while most is learned.

  Args:
    num_updates: of the training; the last of them is the last moment.
    num: moments, at most.

  Returns:
    Increasing counts, (k / num)^2 of the training for k = 1 to num.
  """
  counts = np.ceil(num_updates * (np.arange(1, num + 1) / num) ** 2)
  return np.unique(counts).astype(int).tolist()


def train(
  env: play.AnyEnvironment,
  config: ppo.Config,
  seed: int,
  num_candidates: int,
  report: Report = lambda *_: None,
) -> Iterator[Candidate]:
  """Trains a policy, yielding it at the moments of `schedule`, untrained first.

  Args:
    env: the environment.
    config: hyper-parameters.
    seed: of everything random.
    num_candidates: how often it is kept, at most, beside the untrained one.
    report: called at each moment with means since the one before.

  Raises:
    ValueError: the settings do not fit together.
  """
  ppo.check(env.spec, config)
  ranges.check_seed("seed", seed, 2)  # the next one is the evaluations'
  init, update = play.make_trainer(env, config)
  carry = init(jax.random.key(seed))

  def keep(updates: int) -> Candidate:
    actor = ppo.actor(carry.learner, config)
    steps = updates * config.steps_per_update
    return Candidate(steps, jax.tree.map(np.array, actor))

  yield keep(0)
  done = 0
  for moment in schedule(config.num_updates, num_candidates):
    metrics = []
    while done < moment:
      carry, new = update(carry)
      metrics.append(new)
      done += 1
    candidate = keep(done)
    report(seed, candidate.steps, play.per_episode(jax.device_get(metrics)))
    yield candidate


def choose(levels: Sequence[float], wanted: Sequence[float]) -> list[int]:
  """Picks the candidate nearest to each wanted level as training first passes it.

  Training is not monotone: a late policy that plays badly is no early one.

  Args:
    levels: of each candidate, in order of training.
    wanted: increasing.

  Returns:
    Increasing positions; fewer than `wanted` where one candidate is nearest to several.
    Levels that are never reached have none but the highest candidate.
  """
  picked = set()
  for level in wanted:
    reached = np.flatnonzero(np.asarray(levels) >= level)
    last = int(reached[0]) if len(reached) else int(np.argmax(levels))
    before = max(last - 1, 0)
    picked.add(min(before, last, key=lambda i: abs(levels[i] - level)))
  return sorted(picked)


def make_library(
  env: play.AnyEnvironment,
  config: ppo.Config,
  seeds: Sequence[int],
  effort: Effort,
  report: Report = lambda *_: None,
) -> tuple[library.Index, list[policy.PolicyParams]]:
  """Trains, judges the policies on the way in test mode, and picks some.

  The first training goes to its end and gives the expert. The others, which
  medium-replay draws on, end when they have passed medium. The index's figures come
  from other episodes than the choice, which flatters.

  Args:
    env: the environment.
    config: hyper-parameters.
    seeds: of the trainings; the judgements' keys derive from them too.
    effort: how closely training is watched.
    report: see `train`.

  Returns:
    The index and the snapshots' parameters, for `library.save`.

  Raises:
    ValueError: the settings do not fit together, or a return is not finite.
  """
  mode = policy.test_mode(env.spec.action_kind)
  judge = play.make_evaluate(env, effort.choose_episodes)
  k_choose, k_report, k_random = jax.random.split(jax.random.key(seeds[0] + 1), 3)
  chosen: list[tuple[int, Candidate]] = []
  best, random_return = None, 0.0
  for seed in seeds:
    k_seed, seen, scores = jax.random.fold_in(k_choose, seed), [], []
    for candidate in train(env, config, seed, effort.candidates, report):
      k_judge = jax.random.fold_in(k_seed, len(seen))
      scores.append(_finite(judge(candidate.params, mode, k_judge)))
      seen.append(candidate)
      if best and qualities.level(scores[-1], best, random_return) >= _FAR_ENOUGH:
        break
    if best is None:
      random_play = judge(seen[0].params, policy.UNIFORM, k_random)
      random_return = round(float(random_play.return_mean), 4)
      best, wanted = max(scores, key=lambda score: score.return_mean), LEVELS
    else:
      wanted = [x for x in LEVELS if x <= qualities.MEDIUM_LEVEL]
    levels = [qualities.level(score, best, random_return) for score in scores]
    picked = choose(levels, wanted)
    if seed == seeds[0]:
      picked = sorted({*picked, scores.index(best)})
    chosen += [(seed, seen[i]) for i in picked]
  index = library.Index(
    environment=env.spec.name,
    random_return=random_return,
    seeds=tuple(seeds),
    test_mode=mode,
    recipe=json.loads(json.dumps(dataclasses.asdict(config))),
    versions=base.versions(env.spec.name),
    snapshots=_describe(env, chosen, effort.report_episodes, k_report),
  )
  return index, [candidate.params for _, candidate in chosen]


def _finite(score: play.Score) -> play.Score:
  score = play.Score(*map(float, score))
  if not np.isfinite(score.return_mean):
    raise ValueError(f"training has diverged: a policy returns {score.return_mean}")
  return score


def _describe(
  env: play.AnyEnvironment,
  chosen: list[tuple[int, Candidate]],
  episodes: int,
  key: jax.Array,
) -> tuple[library.Snapshot, ...]:
  """Judges in test mode and as sampled in training, on fresh episodes."""
  judge = play.make_evaluate(env, episodes)
  entries = []
  for k, (seed, candidate) in enumerate(chosen):
    k_test, k_sampled = jax.random.split(jax.random.fold_in(key, k))
    test = judge(candidate.params, policy.test_mode(env.spec.action_kind), k_test)
    sampled = judge(candidate.params, policy.SAMPLED, k_sampled)
    figures: dict[str, Any] = {
      "win_rate": test.win_rate,
      "return_mean": test.return_mean,
      "sampled_win_rate": sampled.win_rate,
      "sampled_return_mean": sampled.return_mean,
    }
    entries.append(
      library.Snapshot(
        name=f"{env.spec.name}/{k}",
        seed=seed,
        steps=candidate.steps,
        episodes=episodes,
        **{name: round(float(x), 4) for name, x in figures.items()},
      )
    )
  return tuple(entries)
