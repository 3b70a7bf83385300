"""Rollouts of behaviour policies, in compiled programs or on the host."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import types
from logo_jax.behaviours import policy, ppo
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


class Score(NamedTuple):
  """How well a policy plays."""

  win_rate: Any
  return_mean: Any


def make_trainer(
  env: AnyEnvironment, config: ppo.Config, num_updates: int
) -> tuple[Callable[[jax.Array], Carry], Callable[[Carry], Any]]:
  """Builds training in either kind of environment.

  Args:
    env: the environment.
    config: hyper-parameters.
    num_updates: per call.

  Returns:
    `init(key) -> Carry` and `run(carry) -> (carry, mean metrics)`.
  """
  if isinstance(env, types.HostEnvironment):
    host = _HostTrainer(env, config)
    return host.init, functools.partial(host.run, num_updates)

  def init(key: jax.Array) -> Carry:
    k_init, k_reset, k_train = jax.random.split(key, 3)
    env_state, timestep = jax.vmap(env.reset)(
      jax.random.split(k_reset, config.num_envs)
    )
    learner = ppo.init(env.spec, config, k_init)
    zero = jnp.zeros((), jnp.int32)
    total = jnp.zeros((config.num_envs,))
    return Carry(learner, env_state, timestep, total, k_train, zero)

  def run(carry: Carry) -> tuple[Carry, types.Metrics]:
    carry, metrics = jax.lax.scan(
      lambda c, _: _update(env, config, c), carry, None, length=num_updates
    )
    return carry, _per_episode(jax.tree.map(jnp.mean, metrics))

  return jax.jit(init), jax.jit(run, donate_argnums=0)


def make_evaluate(
  env: AnyEnvironment, num_episodes: int
) -> Callable[[policy.PolicyParams, float, jax.Array], Score]:
  """Builds the evaluation of a policy that samples, `num_episodes` at once.

  Returns:
    A function of parameters, epsilon and key.
  """
  if isinstance(env, types.HostEnvironment):
    return functools.partial(_evaluate_on_host, env, num_episodes)
  kind = env.spec.action_kind

  def evaluate(params: policy.PolicyParams, epsilon: jax.Array, key: jax.Array):
    k_reset, k_play = jax.random.split(key)

    def body(carry, index):
      env_state, timestep, over = carry
      k_act, k_step = jax.random.split(jax.random.fold_in(k_play, index))
      action = policy.act(params, timestep, kind, epsilon, k_act)
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


@functools.partial(jax.jit, static_argnames="kind")
def host_act(
  params: policy.PolicyParams, timestep: types.TimeStep, kind: str, epsilon, key, index
) -> jax.Array:
  """`policy.act` with the key of step `index`, compiled."""
  return policy.act(params, timestep, kind, epsilon, jax.random.fold_in(key, index))


def _update(env: types.Environment, config: ppo.Config, carry: Carry):
  """Plays, then learns from what was played."""
  k_roll, k_learn = jax.random.split(jax.random.fold_in(carry.key, carry.step))
  params, kind = ppo.actor(carry.learner, config), env.spec.action_kind

  def body(carry, index):
    env_state, now, total = carry
    k_act, k_step, k_reset = jax.random.split(jax.random.fold_in(k_roll, index), 3)
    action, raw, log_prob = ppo.act(params, now, kind, k_act)
    moved, reached = jax.vmap(env.step)(
      env_state, action, jax.random.split(k_step, config.num_envs)
    )
    total = total + reached.reward
    ended = (jnp.where(reached.last, total, 0.0), reached.last & reached.won)
    fresh = jax.vmap(env.reset)(jax.random.split(k_reset, config.num_envs))
    carry = base.where_batched(reached.last, fresh, (moved, reached))
    total = jnp.where(reached.last, 0.0, total)
    return (*carry, total), (_sample(now, raw, log_prob, reached), ended)

  start = (carry.env_state, carry.timestep, carry.total)
  end, (data, ended) = jax.lax.scan(body, start, jnp.arange(config.rollout_steps))
  learner, metrics = ppo.learn(carry.learner, data, kind, config, k_learn)
  metrics |= _episodes(data.last, *ended)
  env_state, timestep, total = end
  step = carry.step + 1
  return Carry(learner, env_state, timestep, total, carry.key, step), metrics


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


def _per_episode(metrics: types.Metrics) -> types.Metrics:
  """Turns mean sums into means; NaN where no episode ended."""
  num = metrics.pop("behaviour/episodes")
  sums = ("behaviour/win_rate", "behaviour/return")
  means = {name: metrics[name] / jnp.where(num > 0, num, jnp.nan) for name in sums}
  return metrics | means


class _HostTrainer:
  """Training where the environment steps outside JAX."""

  def __init__(self, env: types.HostEnvironment, config: ppo.Config):
    self._env, self._config = env, config
    kind = env.spec.action_kind

    def act(learner: ppo.TrainState, timestep: types.TimeStep, key, index):
      params = ppo.actor(learner, config)
      return ppo.act(params, timestep, kind, jax.random.fold_in(key, index))

    def learn(learner: ppo.TrainState, data: ppo.Sample, key: jax.Array):
      return ppo.learn(learner, data, kind, config, key)

    self._act, self._learn = jax.jit(act), jax.jit(learn)

  def init(self, key: jax.Array) -> Carry:
    k_init, k_reset, k_train = jax.random.split(key, 3)
    num = self._config.num_envs
    learner = jax.jit(ppo.init, static_argnums=(0, 1))(
      self._env.spec, self._config, k_init
    )
    env_state, timestep = self._env.reset(base.host_rng(k_reset), num)
    return Carry(learner, env_state, timestep, np.zeros(num), k_train, 0)

  def run(self, num_updates: int, carry: Carry) -> tuple[Carry, types.Metrics]:
    parts = []
    for _ in range(num_updates):
      carry, metrics = self._update(carry)
      parts.append(metrics)
    return carry, _per_episode(jax.tree.map(lambda *x: np.mean(x), *parts))

  def _update(self, carry: Carry) -> tuple[Carry, types.Metrics]:
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
  env: types.HostEnvironment, num_episodes: int, params, epsilon, key: jax.Array
) -> Score:
  k_reset, k_play = jax.random.split(key)
  env_state, now = env.reset(base.host_rng(k_reset), num_episodes)
  over, won, total = now.last.copy(), now.won.copy(), np.zeros(num_episodes)
  for index in range(env.spec.max_steps):
    action = host_act(params, now, env.spec.action_kind, epsilon, k_play, index)
    env_state, now = env.step(env_state, np.asarray(action))
    total += np.where(over, 0.0, now.reward)
    won |= ~over & now.won
    over |= now.last
    if over.all():
      break
  return Score(won.mean(), total.mean())
