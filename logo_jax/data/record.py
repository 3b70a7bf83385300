"""Plays behaviours and records every row, chunk after chunk, in either kind of
environment."""

from collections.abc import Iterator
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import types
from logo_jax.behaviours import play, policy
from logo_jax.envs import base

_CHUNK = 64  # steps per call of the compiled program


class Game(NamedTuple):
  """What the compiled program depends on; hashable."""

  env: play.AnyEnvironment
  num_envs: int
  room: int  # for behaviours: all casts up to this size share one program


class Recorded(NamedTuple):
  """Consecutive rows of all environments, leading axes `[T, B]`."""

  rows: types.Rows
  last: Any  # the row holds a final observation
  won: Any
  behaviour: Any


class _Cast(NamedTuple):
  """Who can play, how, and the key that decides who plays which episode."""

  params: policy.PolicyParams  # of all behaviours, stacked, then anything up to `room`
  size: jax.Array  # int32, how many behaviours there are
  mode: policy.Mode  # of all of them
  key: jax.Array


class _Carry(NamedTuple):
  """What the environments stand at, leading axis `[B]`."""

  env_state: Any
  timestep: types.TimeStep
  behaviour: Any  # int32, who plays the running episode
  wave: Any  # int32, number of the running episode within its environment


def record(
  game: Game, params: list[policy.PolicyParams], mode: policy.Mode, key: jax.Array
) -> Iterator[Recorded]:
  """Yields what is recorded, without end.

  Args:
    game: the environment and how it is played.
    params: of the behaviours, at most `game.room`; episode number
      `wave * num_envs + environment` is played by one of them, each block of as many
      episodes having everybody once.
    mode: how they play.
    key: of everything random.
  """
  k_start, k_play, k_cast = jax.random.split(key, 3)
  filled = params + params[:1] * (game.room - len(params))
  cast = _Cast(
    params=jax.tree.map(lambda *x: jnp.stack(x), *filled),
    size=jnp.int32(len(params)),
    mode=policy.Mode(jnp.bool_(mode.greedy), jnp.float32(mode.epsilon)),
    key=k_cast,
  )
  if isinstance(game.env, types.HostEnvironment):
    yield from _record_on_host(game, cast, k_start, k_play)
    return
  carry, chunk = _start(game, cast, jnp.zeros((game.num_envs,), jnp.int32), k_start), 0
  while True:
    carry, recorded = _play_chunk(game, cast, carry, jax.random.fold_in(k_play, chunk))
    yield jax.tree.map(np.asarray, recorded)
    chunk += 1


def _assign(game: Game, cast: _Cast, wave: jax.Array) -> jax.Array:
  """Who plays the episodes: each block of them has everybody once, shuffled."""

  def one(number: jax.Array) -> jax.Array:
    k_block = jax.random.fold_in(cast.key, number // cast.size)
    lots = jax.random.uniform(k_block, (game.room,))
    lots = jnp.where(jnp.arange(game.room) < cast.size, lots, jnp.inf)
    return jnp.argsort(lots)[number % cast.size]

  episode = wave * game.num_envs + jnp.arange(game.num_envs)
  return jax.vmap(one)(episode).astype(jnp.int32)


def _decide(
  game: Game, cast: _Cast, now: types.TimeStep, behaviour: jax.Array, key: jax.Array
) -> jax.Array:
  spec = game.env.spec
  every = jax.vmap(lambda params: policy.outputs(params, now.obs, spec))(cast.params)
  scores = every[behaviour, jnp.arange(game.num_envs)]
  return policy.choose(scores, now.legal, spec.action_kind, cast.mode, key)


def _row(now: types.TimeStep, action: Any, reached: types.TimeStep, xp: Any):
  """The row of a step; one that holds a final observation has no action.

  An episode that is over stands still for one step, which records its final row.
  """
  over = now.last.reshape(-1, *[1] * (action.ndim - 1))
  return types.Rows(
    obs=now.obs,
    state=now.state,
    legal=now.legal,
    action=xp.where(over, xp.zeros_like(action), action),
    reward=xp.where(now.last, xp.zeros_like(reached.reward), reached.reward),
    discount=xp.where(now.last, xp.ones_like(reached.discount), reached.discount),
  )


# In compiled programs.


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def _play_chunk(
  game: Game, cast: _Cast, carry: _Carry, key: jax.Array
) -> tuple[_Carry, Recorded]:
  return jax.lax.scan(
    lambda carry, index: _step(game, cast, carry, jax.random.fold_in(key, index)),
    carry,
    jnp.arange(_CHUNK),
  )


@functools.partial(jax.jit, static_argnums=0)
def _start(game: Game, cast: _Cast, wave: jax.Array, key: jax.Array) -> _Carry:
  """Resets every environment, for its episode number `wave`."""
  assert isinstance(game.env, types.Environment)
  env_state, timestep = jax.vmap(game.env.reset)(jax.random.split(key, game.num_envs))
  return _Carry(env_state, timestep, _assign(game, cast, wave), wave)


def _step(
  game: Game, cast: _Cast, carry: _Carry, key: jax.Array
) -> tuple[_Carry, Recorded]:
  """Records one row of every environment and moves on."""
  assert isinstance(game.env, types.Environment)
  k_act, k_step, k_reset = jax.random.split(key, 3)
  now = carry.timestep
  action = _decide(game, cast, now, carry.behaviour, k_act)
  env_state, reached = jax.vmap(game.env.step)(
    carry.env_state, action, jax.random.split(k_step, game.num_envs)
  )
  rows = _row(now, action, reached, jnp)
  recorded = Recorded(rows, now.last, now.won, carry.behaviour)
  running = carry._replace(env_state=env_state, timestep=reached)
  restarted = _start(game, cast, carry.wave + 1, k_reset)
  return base.where_batched(now.last, restarted, running), recorded


# On the host.


@functools.partial(jax.jit, static_argnums=0)
def _decide_on_host(
  game: Game, cast: _Cast, now: types.TimeStep, wave: Any, key: jax.Array, index: int
) -> tuple[jax.Array, jax.Array]:
  behaviour = _assign(game, cast, wave)
  key = jax.random.fold_in(key, index)
  return _decide(game, cast, now, behaviour, key), behaviour


def _record_on_host(
  game: Game, cast: _Cast, k_start: jax.Array, k_play: jax.Array
) -> Iterator[Recorded]:
  env = game.env
  assert isinstance(env, types.HostEnvironment)
  rng = base.host_rng(k_start)
  wave = np.zeros(game.num_envs, np.int32)
  env_state, now = env.reset(rng, game.num_envs)
  index, parts = 0, []
  while True:
    decided = _decide_on_host(game, cast, now, wave, k_play, index)
    action, behaviour = map(np.asarray, decided)
    moved, reached = env.step(env_state, action)
    rows = _row(now, action, reached, np)
    parts.append(Recorded(rows, now.last, now.won, behaviour))
    wave = wave + now.last
    env_state, now = play.restart(env, np.asarray(now.last), (moved, reached), rng)
    index += 1
    if len(parts) == _CHUNK:
      yield jax.tree.map(lambda *x: np.stack(x), *parts)
      parts = []
