"""Trains behaviour policies and picks snapshots with spread-out levels."""

from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import types
from logo_jax.behaviours import library, policy, ppo

# Levels are spaced as k^_SPREAD: even spacing (1) would spend most snapshots on play
# that hardly ever wins.
_SPREAD = 0.6


class Candidate(NamedTuple):
  """A policy on the way."""

  steps: int
  params: policy.PolicyParams


class Score(NamedTuple):
  """How well a policy plays."""

  win_rate: jax.Array
  return_mean: jax.Array


def train(
  env: types.Environment,
  config: ppo.Config,
  seed: int,
  chunk: int = 5,
  report: Callable[[int, types.Metrics], None] = lambda steps, metrics: None,
) -> list[Candidate]:
  """Trains one policy and keeps it after every chunk, the untrained one first.

  Args:
    env: the environment.
    config: hyper-parameters.
    seed: of everything random.
    chunk: updates per compiled call.
    report: called after each chunk with the steps so far and mean metrics.

  Raises:
    ValueError: the total is less than one chunk.
  """
  if config.total_steps < chunk * config.steps_per_update:
    raise ValueError(
      f"total_steps {config.total_steps} must be at least "
      f"{chunk * config.steps_per_update}, which is {chunk} updates"
    )
  init, update = ppo.make(env, config)

  def run_chunk(state: ppo.TrainState):
    state, metrics = jax.lax.scan(lambda s, _: update(s), state, None, length=chunk)
    return state, jax.tree.map(jnp.mean, metrics)

  run_chunk = jax.jit(run_chunk, donate_argnums=0)
  state = jax.jit(init)(jax.random.key(seed))
  candidates = [Candidate(0, jax.tree.map(np.array, state.params.actor))]
  for done in range(chunk, config.num_updates + 1, chunk):
    state, metrics = run_chunk(state)
    steps = done * config.steps_per_update
    candidates.append(Candidate(steps, jax.tree.map(np.array, state.params.actor)))
    report(steps, metrics)
  return candidates


def make_evaluate(
  env: types.Environment, num_episodes: int
) -> Callable[[policy.PolicyParams, float, jax.Array], Score]:
  """Builds the evaluation of a policy that samples, `num_episodes` at once.

  Returns:
    A compiled function of parameters, epsilon and key.
  """

  def evaluate(params: policy.PolicyParams, epsilon: jax.Array, key: jax.Array):
    k_reset, k_play = jax.random.split(key)

    def body(carry, index):
      env_state, timestep = carry
      k_act, k_step = jax.random.split(jax.random.fold_in(k_play, index))
      scores = policy.logits(params, timestep.obs, timestep.legal)
      action = policy.sample(scores, timestep.legal, epsilon, k_act)
      carry = jax.vmap(env.step)(
        env_state, action, jax.random.split(k_step, num_episodes)
      )
      return carry, jnp.where(timestep.last, 0.0, carry[1].reward)

    start = jax.vmap(env.reset)(jax.random.split(k_reset, num_episodes))
    (_, final), rewards = jax.lax.scan(body, start, jnp.arange(env.spec.max_steps))
    return Score(final.won.mean(), rewards.sum(0).mean())

  return jax.jit(evaluate)


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
  env: types.Environment,
  candidates: list[Candidate],
  seed: int,
  num_snapshots: int,
  num_episodes: int = 512,
) -> tuple[library.Index, list[Any]]:
  """Evaluates candidates and picks some.

  The index's figures come from other episodes than the choice, which flatters.

  Args:
    env: the environment.
    candidates: from `train`.
    seed: the training's; the evaluations' keys derive from it.
    num_snapshots: how many to keep.
    num_episodes: of each evaluation.

  Returns:
    The index and the snapshots' parameters, for `library.save`.
  """
  evaluate = make_evaluate(env, num_episodes)
  k_choose, k_report, k_random = jax.random.split(jax.random.key(seed + 1), 3)
  first = [
    float(evaluate(params, 0.0, jax.random.fold_in(k_choose, i)).return_mean)
    for i, (_, params) in enumerate(candidates)
  ]
  kept = [candidates[i] for i in choose(first, num_snapshots)]
  scores = [
    evaluate(params, 0.0, jax.random.fold_in(k_report, k))
    for k, (_, params) in enumerate(kept)
  ]
  random_play = evaluate(kept[0].params, 1.0, k_random)
  index = library.Index(
    environment=env.spec.name,
    random_return=round(float(random_play.return_mean), 4),
    seed=seed,
    versions={name: metadata.version(name) for name in ("jax", "jaxmarl", "numpy")},
    snapshots=tuple(
      library.Snapshot(
        name=f"{env.spec.name.partition('/')[2]}/{k}",
        steps=candidate.steps,
        episodes=num_episodes,
        win_rate=round(float(score.win_rate), 4),
        return_mean=round(float(score.return_mean), 4),
      )
      for k, (candidate, score) in enumerate(zip(kept, scores, strict=True))
    ),
  )
  return index, [params for _, params in kept]
