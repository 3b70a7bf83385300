"""Rollouts of behaviour policies, in compiled programs or on the host."""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import types
from logo_jax.behaviours import curriculum, policy, ppo
from logo_jax.envs import base

AnyEnvironment = types.Environment | types.HostEnvironment


class Carry(NamedTuple):
  """All that training carries from update to update."""

  learner: ppo.TrainState
  env_state: Any  # of `num_envs` environments
  timestep: types.TimeStep
  total: Any  # [B], rewards of the running episodes so far
  key: jax.Array
  step: Any  # updates so far
  health: Any = 1.0  # share with which enemies begin


class Score(NamedTuple):
  """How well a policy plays."""

  win_rate: Any
  return_mean: Any


def make_trainer(
  env: AnyEnvironment, config: ppo.Config
) -> tuple[Callable[[jax.Array], Carry], Callable[[Carry], Any]]:
  """Builds training in either kind of environment.

  Args:
    env: the environment.
    config: hyper-parameters.

  Returns:
    `init(key) -> Carry` and `update(carry) -> (carry, metrics)`, of which
    `per_episode` makes means.
  """
  curriculum.weaken(env.spec, config)  # refuses what does not fit before any tracing
  if isinstance(env, types.HostEnvironment):
    host = _HostTrainer(env, config)
    return host.init, host.update

  def init(key: jax.Array) -> Carry:
    k_init, k_reset, k_train = jax.random.split(key, 3)
    env_state, timestep = jax.vmap(env.reset)(
      jax.random.split(k_reset, config.num_envs)
    )
    learner = ppo.init(env.spec, config, k_init)
    zero = jnp.zeros((), jnp.int32)
    total = jnp.zeros((config.num_envs,))
    health = jnp.float32(config.enemy_health)
    return Carry(learner, env_state, timestep, total, k_train, zero, health)

  def update(carry: Carry) -> tuple[Carry, types.Metrics]:
    return _update(env, config, carry)

  return jax.jit(init), jax.jit(update, donate_argnums=0)


def make_evaluate(
  env: AnyEnvironment, num_episodes: int
) -> Callable[[policy.PolicyParams, policy.Mode, jax.Array], Score]:
  """Builds the evaluation of a policy, `num_episodes` at once.

  Returns:
    A function of parameters, mode and key.
  """
  if isinstance(env, types.HostEnvironment):
    return functools.partial(_evaluate_on_host, env, num_episodes)

  def evaluate(params: policy.PolicyParams, mode: policy.Mode, key: jax.Array):
    k_reset, k_play = jax.random.split(key)

    def body(carry, index):
      env_state, timestep, over = carry
      k_act, k_step = jax.random.split(jax.random.fold_in(k_play, index))
      action = policy.act(params, timestep, env.spec, mode, k_act)
      env_state, reached = jax.vmap(env.step)(
        env_state, action, jax.random.split(k_step, num_episodes)
      )
      reward = jnp.where(over, 0.0, reached.reward)
      won = ~over & reached.won
      return (env_state, reached, over | reached.last), (reward, won)

    env_state, first = jax.vmap(env.reset)(jax.random.split(k_reset, num_episodes))
    start = (env_state, first, first.last)
    _, (rewards, won) = jax.lax.scan(body, start, jnp.arange(env.spec.max_steps))
    return Score(won.any(0).mean(), rewards.sum(0).mean())

  return jax.jit(evaluate)


def restart(
  env: types.HostEnvironment, over: np.ndarray, old: Any, rng: np.random.Generator
) -> Any:
  """Resets the copies whose episode is over.

  Args:
    env: the environment.
    over: bool `[B]`.
    old: environment state and time step, `[B, ...]`; left alone.
    rng: of the resets.

  Returns:
    The new state and time step.
  """
  if not over.any():
    return old

  def put(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[over] = y
    return x

  return jax.tree.map(put, old, env.reset(rng, int(over.sum())))


@functools.partial(jax.jit, static_argnames="spec")
def host_act(
  params: policy.PolicyParams,
  timestep: types.TimeStep,
  spec: types.EnvSpec,
  mode: policy.Mode,
  key: jax.Array,
  index: int,
) -> jax.Array:
  """`policy.act` with the key of step `index`, compiled."""
  return policy.act(params, timestep, spec, mode, jax.random.fold_in(key, index))


def _update(env: types.Environment, config: ppo.Config, carry: Carry):
  """Plays, then learns from what was played."""
  weaken = curriculum.weaken(env.spec, config)
  k_roll, k_learn = jax.random.split(jax.random.fold_in(carry.key, carry.step))
  params, spec, health = ppo.actor(carry.learner, config), env.spec, carry.health

  def reset(key: jax.Array):
    fresh = env.reset(key)
    return fresh if weaken is None else weaken(*fresh, health)

  def body(carry, index):
    env_state, now, total = carry
    k_act, k_step, k_reset = jax.random.split(jax.random.fold_in(k_roll, index), 3)
    action, raw, log_prob = ppo.act(params, now, spec, k_act)
    moved, reached = jax.vmap(env.step)(
      env_state, action, jax.random.split(k_step, config.num_envs)
    )
    total = total + reached.reward
    ended = (jnp.where(reached.last, total, 0.0), reached.last & reached.won)
    fresh = jax.vmap(reset)(jax.random.split(k_reset, config.num_envs))
    carry = base.where_batched(reached.last, fresh, (moved, reached))
    total = jnp.where(reached.last, 0.0, total)
    return (*carry, total), (_sample(now, raw, log_prob, reached), ended)

  start = (carry.env_state, carry.timestep, carry.total)
  end, (data, ended) = jax.lax.scan(body, start, jnp.arange(config.rollout_steps))
  learner, metrics = ppo.learn(carry.learner, data, spec, config, k_learn)
  metrics |= _episodes(data.last, *ended)
  env_state, timestep, total = end
  if weaken is not None:
    health = curriculum.next_health(health, metrics, config.enemy_health)
    metrics["behaviour/enemy_health"] = health
  step = carry.step + 1
  return Carry(learner, env_state, timestep, total, carry.key, step, health), metrics


def _sample(now: types.TimeStep, raw, log_prob, reached: types.TimeStep) -> ppo.Sample:
  return ppo.Sample(
    obs=now.obs,
    state=now.state,
    legal=now.legal,
    raw_action=raw,
    log_prob=log_prob,
    reward=reached.reward,
    discount=reached.discount,
    last=reached.last,
    next_state=reached.state,
  )


def _episodes(last: Any, total: Any, won: Any) -> types.Metrics:
  """Sums over the episodes that ended; all `[T, B]`, totals 0 where none did."""
  return {
    "behaviour/win_rate": won.sum(),
    "behaviour/return": total.sum(),
    "behaviour/episodes": last.sum(),
  }


def per_episode(metrics: Sequence[types.Metrics]) -> dict[str, float]:
  """Means over several updates, what is of episodes per episode; NaN if none ended."""
  means = {name: float(np.mean([m[name] for m in metrics])) for name in metrics[0]}
  num = means.pop("behaviour/episodes") or np.nan
  for name in ("behaviour/win_rate", "behaviour/return"):
    means[name] /= num
  return means


class _HostTrainer:
  """Training where the environment steps outside JAX."""

  def __init__(self, env: types.HostEnvironment, config: ppo.Config):
    self._env, self._config = env, config
    spec = env.spec

    def act(learner: ppo.TrainState, timestep: types.TimeStep, key, index):
      params = ppo.actor(learner, config)
      return ppo.act(params, timestep, spec, jax.random.fold_in(key, index))

    def learn(learner: ppo.TrainState, data: ppo.Sample, key: jax.Array):
      return ppo.learn(learner, data, spec, config, key)

    self._act, self._learn = jax.jit(act), jax.jit(learn)

  def init(self, key: jax.Array) -> Carry:
    k_init, k_reset, k_train = jax.random.split(key, 3)
    num = self._config.num_envs
    learner = jax.jit(ppo.init, static_argnums=(0, 1))(
      self._env.spec, self._config, k_init
    )
    env_state, timestep = self._env.reset(base.host_rng(k_reset), num)
    return Carry(learner, env_state, timestep, np.zeros(num), k_train, 0)

  def update(self, carry: Carry) -> tuple[Carry, types.Metrics]:
    key = jax.random.fold_in(carry.key, carry.step)
    k_roll, k_learn, k_reset = jax.random.split(key, 3)
    rng = base.host_rng(k_reset)
    learner, env_state, now, total = carry[:4]
    samples, ended = [], []
    for index in range(self._config.rollout_steps):
      action, raw, log_prob = self._act(learner, now, k_roll, index)
      env_state, reached = self._env.step(env_state, np.asarray(action))
      samples.append(_sample(now, raw, log_prob, reached))
      total, over, now = total + reached.reward, np.asarray(reached.last), reached
      ended.append((np.where(over, total, 0.0), over & reached.won))
      env_state, now = restart(self._env, over, (env_state, now), rng)
      total = np.where(over, 0.0, total)
    data = jax.tree.map(lambda *x: np.stack(x), *samples)
    learner, metrics = self._learn(learner, data, k_learn)
    ended = jax.tree.map(lambda *x: np.stack(x), *ended)
    metrics |= _episodes(data.last, *ended)
    return Carry(learner, env_state, now, total, carry.key, carry.step + 1), metrics


def _evaluate_on_host(
  env: types.HostEnvironment,
  num_episodes: int,
  params: policy.PolicyParams,
  mode: policy.Mode,
  key: jax.Array,
) -> Score:
  k_reset, k_play = jax.random.split(key)
  env_state, now = env.reset(base.host_rng(k_reset), num_episodes)
  over, won, total = now.last.copy(), now.won.copy(), np.zeros(num_episodes)
  for index in range(env.spec.max_steps):
    action = host_act(params, now, env.spec, mode, k_play, index)
    env_state, now = env.step(env_state, np.asarray(action))
    total += np.where(over, 0.0, now.reward)
    won |= ~over & now.won
    over |= now.last
    if over.all():
      break
  return Score(won.mean(), total.mean())
