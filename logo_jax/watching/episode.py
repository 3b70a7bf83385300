"""One played episode, and what a world model imagines along it."""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.deploy.policy import Policy
from logo_jax.envs import base
from logo_jax.evaluation import open_loop
from logo_jax.runs import playback
from logo_jax.types import (
  Environment,
  HostEnvironment,
  Prediction,
  Rows,
  TimeStep,
  Transition,
)


class Episode(NamedTuple):
  """T steps that were played, as rows on the host; row T is the last observation."""

  rows: Rows  # [T + 1], action and reward of row T are 0
  over: bool  # it ended by itself, and was not cut
  won: bool

  @property
  def length(self) -> int:
    """T."""
    return len(self.rows.reward) - 1

  @property
  def returns(self) -> np.ndarray:
    """What was earned before each row, float [T + 1], in the environment's units."""
    return np.concatenate([[0.0], np.cumsum(self.rows.reward[:-1])])


class Imagined(NamedTuple):
  """What the model says of the T steps; entry t - 1 is of row t."""

  state: np.ndarray  # [T, S]
  uncertainty: np.ndarray  # [T], calibrated
  goes_on: np.ndarray  # bool [T], the model has not ended the episode by then
  began: np.ndarray  # int [T], the row at which its rollout started


def play(
  env: Environment | HostEnvironment,
  policy: Policy,
  seed: int = 0,
  greedy: bool = True,
  max_steps: int | None = None,
) -> Episode:
  """Plays one episode.

  Args:
    env: the environment.
    policy: decides.
    seed: which episode, and which draws where actions are sampled.
    greedy: the likeliest actions, or else sampled ones.
    max_steps: after how many steps it is cut; None: where the environment does.
  """
  key = jax.random.key(seed)
  k_reset, k_steps = jax.random.split(key)
  reset, step = _functions(env)
  state, now = reset(k_reset)
  memory, kept = policy.initial_memory(), []
  limit = env.spec.max_steps if max_steps is None else max_steps
  while len(kept) < limit and not now.last:
    k_act, k_env = jax.random.split(jax.random.fold_in(k_steps, len(kept)))
    action, memory = policy(now.obs, now.legal, memory, None if greedy else k_act)
    state, after = step(state, action, k_env)
    kept.append((now, action, after.reward, after.discount))
    now = after
  last = (now, np.zeros_like(kept[0][1]), np.float32(0.0), np.float32(1.0))
  seen, *others = zip(*kept, last, strict=True)
  names = ("obs", "state", "legal")
  fields: list[Any] = [np.stack([getattr(x, name) for x in seen]) for name in names]
  fields += [np.stack(x) for x in others]
  rows = Rows(*fields, time=np.arange(len(seen), dtype=np.int32))
  return Episode(rows, bool(now.last), bool(now.won))


def _functions(env: Environment | HostEnvironment) -> tuple[Any, Any]:
  """`reset(key)` and `step(state, action, key)` of one copy, on the host."""

  def first(found: tuple[Any, TimeStep]) -> tuple[Any, TimeStep]:
    return found[0], jax.tree.map(lambda x: x[0], found[1])

  if isinstance(env, HostEnvironment):
    return (
      lambda key: first(env.reset(base.host_rng(key), 1)),
      lambda state, action, key: first(env.step(state, action[None])),
    )
  reset, step = jax.jit(env.reset), jax.jit(env.step)

  def on_host(found: tuple[Any, TimeStep]) -> tuple[Any, TimeStep]:
    return found[0], jax.device_get(found[1])

  return (
    lambda key: on_host(reset(key)),
    lambda state, action, key: on_host(step(state, action, key)),
  )


def imagine(
  run_dir: str | os.PathLike[str],
  episode: Episode,
  steps: int,
  checkpoint: int,
  seed_index: int = 0,
) -> Imagined | None:
  """Rolls a run's world model along an episode, with the actions that were taken.

  Every `steps` steps it begins anew, at the real state. Actions are the recorded ones,
  not the policy's own in the model: so whatever differs is the model's doing.

  Args:
    run_dir: a run's folder; it is only read.
    episode: what was played.
    steps: H, of a rollout.
    checkpoint: the update whose checkpoint is read.
    seed_index: which of the run's seeds.

  Returns:
    None if the run has no world model, or one that predicts no states.
  """
  found = playback.imagination_of(run_dir, checkpoint, seed_index)
  if found is None or not found[0].model.predicts_state:
    return None
  imagination, (model_params, uncertainty_params) = found
  model, uncertainty, *_ = imagination
  rows = jax.tree.map(jnp.asarray, episode.rows)
  begins = np.arange(0, episode.length, steps)
  windows = open_loop.Windows(begins, episode.length - begins, begins)

  def look(t: Transition, p: Prediction, true: Transition):
    del true
    return p.state, uncertainty.score(uncertainty_params, t, p), p.discount

  @jax.jit
  def run(rows: Rows, windows: open_loop.Windows) -> Any:
    kept = open_loop.imagine(model, model_params, rows, windows, steps, look)
    state, score, discount = kept

    def along(so_far: jax.Array, score: jax.Array) -> tuple[jax.Array, jax.Array]:
      so_far = uncertainty.accumulate(so_far, score)
      return so_far, uncertainty.calibrate(uncertainty_params, so_far)

    u = jax.lax.scan(along, jnp.zeros(len(begins)), score)[1]
    return state, u, jnp.cumprod(discount > 0.5, 0) > 0

  # Beyond the end of the episode nothing is shown.
  state, u, alive = (
    np.asarray(x).swapaxes(0, 1).reshape(-1, *x.shape[2:])[: episode.length]
    for x in run(rows, jax.tree.map(jnp.asarray, windows))
  )
  return Imagined(state, u, alive, np.repeat(begins, steps)[: episode.length])
