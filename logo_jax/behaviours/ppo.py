"""PPO with shared parameters and a centralised value, compiled as one loop.

Schulman et al., "Proximal policy optimization algorithms", 2017; the multi-agent form
with a value of the global state follows Yu et al., "The surprising effectiveness of PPO
in cooperative multi-agent games", NeurIPS 2022.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax import types
from logo_jax.behaviours import policy
from logo_jax.envs import base


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; one update consumes `num_envs * rollout_steps` joint steps."""

  num_envs: int = 128
  rollout_steps: int = 32
  num_epochs: int = 4  # passes over the data of one update
  num_minibatches: int = 4  # gradient steps per pass
  learning_rate: float = 1e-3  # falls linearly to a tenth over `total_steps`
  total_steps: int = 1_500_000  # joint environment steps
  gamma: float = 0.99
  gae_lambda: float = 0.95
  clip: float = 0.2  # of the probability ratio
  entropy_cost: float = 0.01
  value_cost: float = 0.5
  max_grad_norm: float = 0.5
  policy_hidden: tuple[int, ...] = (64, 64)
  value_hidden: tuple[int, ...] = (128, 128)

  @property
  def steps_per_update(self) -> int:
    return self.num_envs * self.rollout_steps

  @property
  def num_updates(self) -> int:
    return max(1, self.total_steps // self.steps_per_update)


class Params(NamedTuple):
  """The actor, the critic, and the fixed scaling of the critic's input."""

  actor: policy.PolicyParams
  critic: policy.Layers


class TrainState(NamedTuple):
  """All that training carries from update to update."""

  params: Params
  state_mean: jax.Array  # [S], of the first rollout
  state_std: jax.Array  # [S]
  opt_state: Any
  env_state: Any  # of `num_envs` environments
  timestep: types.TimeStep
  total: jax.Array  # [B], rewards of the running episodes so far
  key: jax.Array
  step: jax.Array  # updates so far


class Sample(NamedTuple):
  """One joint step of experience, leading axes `[T, B]`, later `[T * B]`."""

  obs: jax.Array
  state: jax.Array
  legal: jax.Array
  action: jax.Array
  log_prob: jax.Array  # [..., N], of the acting policy
  reward: jax.Array
  discount: jax.Array
  last: jax.Array
  next_state: jax.Array
  won: jax.Array


def make(
  env: types.Environment, config: Config
) -> tuple[Callable[[jax.Array], TrainState], Callable[..., Any]]:
  """Builds training.

  Args:
    env: a jittable environment with discrete actions.
    config: hyper-parameters.

  Returns:
    `init(key) -> TrainState` and `update(state) -> (state, metrics)`, both pure; scan
    and compile them together.

  Raises:
    ValueError: actions are continuous, or the minibatches do not divide the data.
  """
  if env.spec.action_kind != "discrete":
    raise ValueError(
      f"action_kind of {env.spec.name} is {env.spec.action_kind!r}; PPO behaviours "
      "need 'discrete'"
    )
  if config.steps_per_update % config.num_minibatches:
    raise ValueError(
      f"num_minibatches {config.num_minibatches} does not divide "
      f"num_envs * rollout_steps = {config.steps_per_update}"
    )
  return functools.partial(_init, env, config), functools.partial(_update, env, config)


def _init(env: types.Environment, config: Config, key: jax.Array) -> TrainState:
  """Fresh networks and environments; the first rollout scales the critic's input."""
  k_policy, k_value, k_reset, k_roll, k_train = jax.random.split(key, 5)
  params = Params(
    policy.init(env.spec, config.policy_hidden, k_policy),
    policy.init_layers((env.spec.state_dim, *config.value_hidden, 1), 1.0, k_value),
  )
  env_state, timestep = jax.vmap(env.reset)(jax.random.split(k_reset, config.num_envs))
  total = jnp.zeros((config.num_envs,))
  carry = (env_state, timestep, total)
  _, data, _ = _rollout(env, config, params.actor, carry, k_roll)
  return TrainState(
    params=params,
    state_mean=data.state.mean((0, 1)),
    state_std=data.state.std((0, 1)) + 1e-2,
    opt_state=_optimizer(config).init(params),
    env_state=env_state,
    timestep=timestep,
    total=total,
    key=k_train,
    step=jnp.zeros((), jnp.int32),
  )


def _update(
  env: types.Environment, config: Config, state: TrainState
) -> tuple[TrainState, types.Metrics]:
  """Plays, then learns from what was played."""
  k_roll, k_learn = jax.random.split(jax.random.fold_in(state.key, state.step))
  carry = (state.env_state, state.timestep, state.total)
  carry, data, returns = _rollout(env, config, state.params.actor, carry, k_roll)

  def scale(x: jax.Array) -> jax.Array:
    return jnp.clip((x - state.state_mean) / state.state_std, -5.0, 5.0)

  value = _value(state.params, scale(data.state))
  next_value = _value(state.params, scale(data.next_state))
  advantage = _advantage(config, data, value, next_value)
  batch = (data._replace(state=scale(data.state)), advantage, advantage + value)
  batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)
  params, opt_state, metrics = _learn(
    config, _optimizer(config), (state.params, state.opt_state), batch, k_learn
  )
  episodes = jnp.maximum(data.last.sum(), 1)
  metrics |= {
    "behaviour/win_rate": (data.won & data.last).sum() / episodes,
    "behaviour/return": returns / episodes,
  }
  return state._replace(
    params=params,
    opt_state=opt_state,
    env_state=carry[0],
    timestep=carry[1],
    total=carry[2],
    step=state.step + 1,
  ), metrics


def _optimizer(config: Config) -> optax.GradientTransformation:
  gradient_steps = config.num_updates * config.num_epochs * config.num_minibatches
  schedule = optax.linear_schedule(
    config.learning_rate, config.learning_rate / 10, gradient_steps
  )
  return optax.chain(
    optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5)
  )


def _rollout(env, config, params, carry, key):
  """Plays `rollout_steps` in every environment, each reset as its episode ends.

  Returns:
    The new carry, samples `[T, B]`, and the summed returns of finished episodes.
  """

  def body(carry, index):
    env_state, timestep, total = carry
    k_act, k_step, k_reset = jax.random.split(jax.random.fold_in(key, index), 3)
    scores = policy.logits(params, timestep.obs, timestep.legal)
    action = policy.sample(scores, timestep.legal, 0.0, k_act)
    moved, reached = jax.vmap(env.step)(
      env_state, action, jax.random.split(k_step, config.num_envs)
    )
    total = total + reached.reward
    finished = jnp.where(reached.last, total, 0.0)
    sample = Sample(
      obs=timestep.obs,
      state=timestep.state,
      legal=timestep.legal,
      action=action,
      log_prob=_log_prob(scores, action),
      reward=reached.reward,
      discount=reached.discount,
      last=reached.last,
      next_state=reached.state,
      won=reached.won,
    )
    fresh = jax.vmap(env.reset)(jax.random.split(k_reset, config.num_envs))
    total = jnp.where(reached.last, 0.0, total)
    carry = base.where_batched(reached.last, fresh, (moved, reached))
    return (*carry, total), (sample, finished)

  carry, (data, finished) = jax.lax.scan(body, carry, jnp.arange(config.rollout_steps))
  return carry, data, finished.sum()


def _log_prob(scores: jax.Array, action: jax.Array) -> jax.Array:
  log_probs = jax.nn.log_softmax(scores)
  return jnp.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0]


def _value(params: Params, state: jax.Array) -> jax.Array:
  return policy.apply_layers(params.critic, state)[..., 0]


def _advantage(config, data: Sample, value, next_value) -> jax.Array:
  """Generalised advantage estimates `[T, B]`; a time limit bootstraps."""
  delta = data.reward + config.gamma * data.discount * next_value - value
  decay = config.gamma * config.gae_lambda * (1.0 - data.last.astype(jnp.float32))

  def body(advantage, inputs):
    delta_t, decay_t = inputs
    advantage = delta_t + decay_t * advantage
    return advantage, advantage

  start = jnp.zeros_like(delta[0])
  return jax.lax.scan(body, start, (delta, decay), reverse=True)[1]


def _learn(config, optimizer, learner, batch, key):
  """Several passes over one update's data in shuffled minibatches."""
  size = config.steps_per_update

  def epoch(learner, index):
    order = jax.random.permutation(jax.random.fold_in(key, index), size)
    shuffled = jax.tree.map(
      lambda x: x[order].reshape(config.num_minibatches, -1, *x.shape[1:]), batch
    )
    return jax.lax.scan(minibatch, learner, shuffled)

  def minibatch(learner, data):
    params, opt_state = learner
    grads, metrics = jax.grad(_loss, has_aux=True)(params, data, config)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), metrics

  learner, metrics = jax.lax.scan(epoch, learner, jnp.arange(config.num_epochs))
  return *learner, jax.tree.map(jnp.mean, metrics)


def _loss(params: Params, data, config: Config):
  sample, advantage, target = data
  scores = policy.logits(params.actor, sample.obs, sample.legal)
  # An agent with one legal action decides nothing: it has no part in the loss.
  weight = (sample.legal.sum(-1) > 1).astype(jnp.float32)
  weight = weight / jnp.maximum(weight.sum(), 1.0)
  advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
  ratio = jnp.exp(_log_prob(scores, sample.action) - sample.log_prob)
  clipped = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
  gain = jnp.minimum(ratio * advantage[:, None], clipped * advantage[:, None])
  log_probs = jax.nn.log_softmax(scores)
  entropy = -(jnp.exp(log_probs) * log_probs).sum(-1)
  value_loss = jnp.square(_value(params, sample.state) - target).mean()
  policy_loss = -(weight * gain).sum()
  mean_entropy = (weight * entropy).sum()
  loss = (
    policy_loss + config.value_cost * value_loss - config.entropy_cost * mean_entropy
  )
  return loss, {
    "ppo/policy_loss": policy_loss,
    "ppo/value_loss": value_loss,
    "ppo/entropy": mean_entropy,
  }
