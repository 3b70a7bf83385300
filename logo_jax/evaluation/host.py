"""Playing policies in an environment outside JAX: all copies of all seeds at once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from logo_jax.envs import base
from logo_jax.evaluation.rollout import EpisodeResult
from logo_jax.types import HostEnvironment, Observed, Params, TimeStep


def play(
  env: HostEnvironment,
  act: Callable[..., Any],
  params: Params,
  memory: Any,
  num_episodes: int,
  keys: jax.Array,
) -> EpisodeResult:
  """Plays whole episodes.

  Args:
    env: the environment.
    act: (params, memory, Observed, key) -> (memory, actions), compiled and
      mapped over a leading axis of seeds.
    params: of the policies, with a leading axis of seeds.
    memory: of the policies at the start of an episode, with axes [seeds, E].
    num_episodes: E per seed.
    keys: [seeds], decide the episodes; a seed's are the same in whatever company.

  Returns:
    Results [seeds, E].
  """
  num_seeds = len(keys)
  starts = [env.reset(base.host_rng(key), num_episodes) for key in keys]
  env_state, now = jax.tree.map(lambda *x: np.concatenate(x), *starts)
  running = ~now.last
  total, won = np.zeros(len(running)), np.zeros(len(running), bool)
  length = np.zeros(len(running), np.int32)
  for step in range(env.spec.max_steps):
    now_by_seed: TimeStep = jax.tree.map(
      lambda x: x.reshape(num_seeds, num_episodes, *x.shape[1:]), now
    )
    step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
    seen = Observed(now_by_seed.obs, now_by_seed.state, now_by_seed.legal)
    memory, action = act(params, memory, seen, step_keys)
    action = np.asarray(action)
    action = action.reshape(-1, *action.shape[2:])
    env_state, now = env.step(env_state, action)
    total += np.where(running, now.reward, 0.0)
    length += running
    won |= running & now.won
    running &= ~now.last
    if not running.any():
      break
  shape = (num_seeds, num_episodes)
  results: tuple[Any, ...] = (total.astype(np.float32), length, won)
  return EpisodeResult(*(x.reshape(shape) for x in results))
