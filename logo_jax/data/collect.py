"""Makes a dataset by playing the shipped behaviour policies."""

from collections.abc import Callable, Iterator
import dataclasses
import functools
from importlib import metadata
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import logo_jax
from logo_jax import types
from logo_jax.behaviours import library, policy, qualities
from logo_jax.data import store
from logo_jax.envs import base

_MAX_ENVS = 256  # played at once
_CHUNK = 64  # steps per call of the compiled program


class _Game(NamedTuple):
  """What the compiled program depends on; hashable."""

  env: types.Environment
  num_envs: int
  num_behaviours: int
  epsilon: float


class _Cast(NamedTuple):
  """Who can play, and the key that decides who plays which episode."""

  params: policy.PolicyParams  # of all behaviours, stacked
  key: jax.Array


class _Carry(NamedTuple):
  """What the environments stand at, leading axis `[B]`."""

  env_state: Any
  timestep: types.TimeStep
  behaviour: jax.Array  # int32, who plays the running episode
  wave: jax.Array  # int32, number of the running episode within its environment


class _Recorded(NamedTuple):
  """Consecutive rows of all environments, leading axes `[T, B]`."""

  rows: types.Rows
  last: Any  # the row holds a final observation
  won: Any
  behaviour: Any


class _Played(NamedTuple):
  """Facts about the episodes of a dataset, `[E]` each."""

  won: np.ndarray
  behaviour: np.ndarray


def collect(
  dataset_name: str, num_transitions: int, seed: int, out: str | os.PathLike
) -> pathlib.Path:
  """Plays, records and writes a dataset.

  The law of the data: episodes are numbered wave by wave, the first episode of every
  environment, then the second of each, and so on. The dataset is the shortest run of
  them from number 0 that has at least `num_transitions` transitions. Which episodes
  are in it thus never depends on who finished first, and they are independent draws
  from their behaviours; each block of M consecutive episodes has every one of the M
  behaviours once, in random order.

  Args:
    dataset_name: <suite>/<scenario>/<quality>, for example "smax/2s3z/medium-replay".
    num_transitions: the least number of transitions; whole episodes only.
    seed: of everything random; the same seed gives the same bytes.
    out: root folder; the dataset lies in `out`/`dataset_name`.

  Returns:
    The dataset's folder.

  Raises:
    ValueError: an argument is out of range, or the folder holds other data.
    ImportError: the package behind the environment is not installed.
  """
  env_name, quality = split_name(dataset_name)
  if num_transitions < 1:
    raise ValueError(f"num_transitions {num_transitions} must be at least 1")
  folder = pathlib.Path(out) / dataset_name
  index = library.index(env_name.partition("/")[2])
  behaviour = qualities.behaviour(quality, index)
  env = base.make_jittable(env_name)
  num_envs = int(np.clip(num_transitions // 200, 8, _MAX_ENVS))
  chunks = _play(env, behaviour, num_envs, jax.random.key(seed))
  rows, episode_start, played = _assemble(chunks, num_transitions)
  card = {
    "name": dataset_name,
    "scenario": env_name,
    "spec": dataclasses.asdict(env.spec),
    "quality": quality,
    "behaviour": {"shares": _shares(behaviour, played), "epsilon": behaviour.epsilon},
    "seed": seed,
    "requested_transitions": num_transitions,
    "win_rate": float(played.won.mean()),
    "versions": _versions(),
  }
  return store.write(folder, rows, episode_start, card)


def split_name(dataset_name: str) -> tuple[str, str]:
  """Splits a dataset's name into the environment's name and the quality.

  Raises:
    ValueError: some part is unknown.
  """
  if dataset_name.count("/") != 2:
    raise ValueError(
      f"dataset {dataset_name!r} must be <suite>/<scenario>/<quality>, for example "
      "smax/2s3z/medium-replay"
    )
  env_name, _, quality = dataset_name.rpartition("/")
  base.split_name(env_name)
  if quality not in qualities.QUALITIES:
    raise ValueError(
      f"quality {quality!r} of dataset {dataset_name!r} is not one of: "
      f"{', '.join(qualities.QUALITIES)}"
    )
  return env_name, quality


def _shares(behaviour: qualities.Behaviour, played: _Played) -> dict[str, float]:
  """The share of the episodes that each behaviour has played."""
  counts = np.bincount(played.behaviour, minlength=len(behaviour.snapshots))
  shares = (counts / counts.sum()).round(6).tolist()
  return dict(zip(behaviour.snapshots, shares, strict=True))


def _versions() -> dict[str, str]:
  others = {name: metadata.version(name) for name in ("jax", "jaxmarl", "numpy")}
  return {"logo_jax": logo_jax.__version__} | others


def _play(
  env: types.Environment,
  behaviour: qualities.Behaviour,
  num_envs: int,
  key: jax.Array,
) -> Iterator[_Recorded]:
  """Yields what is recorded, chunk after chunk of one compiled program, without end."""
  k_start, k_play, k_cast = jax.random.split(key, 3)
  params = [library.load(name) for name in behaviour.snapshots]
  cast = _Cast(jax.tree.map(lambda *x: jnp.stack(x), *params), k_cast)
  game = _Game(env, num_envs, len(params), behaviour.epsilon)
  carry, chunk = _start(game, cast, jnp.zeros((num_envs,), jnp.int32), k_start), 0
  while True:
    carry, recorded = _play_chunk(game, cast, carry, jax.random.fold_in(k_play, chunk))
    yield jax.tree.map(np.asarray, recorded)
    chunk += 1


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def _play_chunk(
  game: _Game, cast: _Cast, carry: _Carry, key: jax.Array
) -> tuple[_Carry, _Recorded]:
  return jax.lax.scan(
    lambda carry, index: _record(game, cast, carry, jax.random.fold_in(key, index)),
    carry,
    jnp.arange(_CHUNK),
  )


@functools.partial(jax.jit, static_argnums=0)
def _start(game: _Game, cast: _Cast, wave: jax.Array, key: jax.Array) -> _Carry:
  """Resets every environment, for its episode number `wave`."""
  env_state, timestep = jax.vmap(game.env.reset)(jax.random.split(key, game.num_envs))
  episode = wave * game.num_envs + jnp.arange(game.num_envs)
  who = _assign(episode, game.num_behaviours, cast.key)
  return _Carry(env_state, timestep, who, wave)


def _record(
  game: _Game, cast: _Cast, carry: _Carry, key: jax.Array
) -> tuple[_Carry, _Recorded]:
  """Records one row of every environment and moves on."""
  k_act, k_step, k_reset = jax.random.split(key, 3)
  now = carry.timestep
  every = jax.vmap(policy.logits, (0, None, None))(cast.params, now.obs, now.legal)
  scores = every[carry.behaviour, jnp.arange(game.num_envs)]
  action = policy.sample(scores, now.legal, game.epsilon, k_act)
  env_state, reached = jax.vmap(game.env.step)(
    carry.env_state, action, jax.random.split(k_step, game.num_envs)
  )
  # An episode that is over stands still for one step, which records its final row.
  rows = types.Rows(
    obs=now.obs,
    state=now.state,
    legal=now.legal,
    action=jnp.where(now.last[:, None], 0, action),
    reward=jnp.where(now.last, 0.0, reached.reward),
    discount=jnp.where(now.last, 1.0, reached.discount),
  )
  running = carry._replace(env_state=env_state, timestep=reached)
  restarted = _start(game, cast, carry.wave + 1, k_reset)
  carry = base.where_batched(now.last, restarted, running)
  return carry, _Recorded(rows, now.last, now.won, running.behaviour)


def _assign(episode: jax.Array, num_behaviours: int, key: jax.Array) -> jax.Array:
  """Who plays an episode: each block of episodes has everybody once, shuffled."""

  def one(number: jax.Array) -> jax.Array:
    k_block = jax.random.fold_in(key, number // num_behaviours)
    return jax.random.permutation(k_block, num_behaviours)[number % num_behaviours]

  return jax.vmap(one)(episode).astype(jnp.int32)


def _assemble(
  chunks: Iterator[_Recorded], num_transitions: int
) -> tuple[types.Rows, np.ndarray, _Played]:
  """Records until there is enough, and puts episodes in the order of their numbers."""
  recorded: list[_Recorded] = []
  begin = end = np.zeros(0, np.int64)
  while not len(begin):
    recorded.append(next(chunks))
    last = np.concatenate([chunk.last for chunk in recorded])
    begin, end = _first_episodes(last, num_transitions)
  num_envs = last.shape[1]
  lengths = (end - begin) // num_envs + 1
  start = np.concatenate([[0], np.cumsum(lengths)])
  within = np.arange(start[-1]) - np.repeat(start[:-1], lengths)
  index = np.repeat(begin, lengths) + within * num_envs

  def gather(pick: Callable[[_Recorded], Any], index: np.ndarray) -> Any:
    flat = np.concatenate([pick(chunk) for chunk in recorded])
    return flat.reshape(-1, *flat.shape[2:])[index]

  rows = types.Rows(
    *(gather(lambda x, i=i: x.rows[i], index) for i in range(len(types.Rows._fields)))
  )
  played = _Played(gather(lambda x: x.won, end), gather(lambda x: x.behaviour, end))
  return rows, start.astype(np.int64), played


def _first_episodes(
  last: np.ndarray, num_transitions: int
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the shortest run of episodes, from number 0, that is long enough.

  Args:
    last: bool `[T, B]`, where a row is an episode's last.
    num_transitions: how many the run must have.

  Returns:
    The first and the last row of each episode, as positions in `[T * B]`; empty where
    too few episodes are complete.
  """
  num_envs = last.shape[1]
  time, lane = np.nonzero(last)
  wave = np.cumsum(last, axis=0)[time, lane] - 1
  ends = np.full((int(wave.max(initial=0)) + 1, num_envs), -1)
  ends[wave, lane] = time
  begins = np.concatenate([np.zeros((1, num_envs), int), ends[:-1] + 1])
  done = np.logical_and.accumulate((ends >= 0).reshape(-1))
  total = np.cumsum(np.where(done, (ends - begins).reshape(-1), 0))
  if total[-1] < num_transitions:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)
  count = int(np.searchsorted(total, num_transitions)) + 1
  lanes = np.arange(num_envs)
  begin, end = begins * num_envs + lanes, ends * num_envs + lanes
  return begin.reshape(-1)[:count], end.reshape(-1)[:count]
