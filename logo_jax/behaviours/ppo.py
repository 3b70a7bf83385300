"""PPO with shared parameters and a centralised value: what is learned from a rollout.

Schulman et al., "Proximal policy optimization algorithms", 2017; the multi-agent form
with a value of the global state follows Yu et al., "The surprising effectiveness of PPO
in cooperative multi-agent games", NeurIPS 2022.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax import types
from logo_jax.behaviours import entity_policy, policy
from logo_jax.behaviours import layers as nets
from logo_jax.ops import ppo as ppo_ops

_MIN_STD = 1e-2  # of standardised inputs
_MAX_INPUT = 5.0  # standard deviations; of the critic's input


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; one update consumes `num_envs * rollout_steps` joint steps."""

  total_steps: int = 1_500_000  # joint environment steps
  num_envs: int = 128
  rollout_steps: int = 32
  num_epochs: int = 4  # passes over the data of one update
  num_minibatches: int = 4  # gradient steps per pass
  learning_rate: float = 1e-3  # falls linearly to a tenth over `total_steps`
  gamma: float = 0.99
  gae_lambda: float = 0.95
  clip: float = 0.2  # of the probability ratio
  entropy_cost: float = 0.01
  value_cost: float = 0.5
  max_grad_norm: float = 0.5
  reward_scale: float = 1.0  # of what is learned from; reports are in raw units
  standardise_obs: bool = False  # by running moments; the critic's input always is
  policy_hidden: tuple[int, ...] = (64, 64)
  value_hidden: tuple[int, ...] = (128, 128)
  entities: bool = False  # policies read units, see `entity_policy`
  # Share of their health with which enemies begin at first; it rises to 1 while half of
  # the battles are won. Training only: policies are judged in the true game.
  enemy_health: float = 1.0

  @property
  def steps_per_update(self) -> int:
    return self.num_envs * self.rollout_steps

  @property
  def num_updates(self) -> int:
    return max(1, self.total_steps // self.steps_per_update)


class Params(NamedTuple):
  """The actor and the critic."""

  actor: policy.PolicyParams
  critic: nets.Layers


class RunningMoments(NamedTuple):
  """Running mean and variance of features; 0 and 1 before the first update."""

  count: jax.Array
  mean: jax.Array  # [F]
  var: jax.Array  # [F]

  @property
  def std(self) -> jax.Array:
    return jnp.sqrt(self.var) + _MIN_STD


class TrainState(NamedTuple):
  """All that learning changes."""

  params: Params
  obs: RunningMoments  # [O]; never updated where observations are not standardised
  state: RunningMoments  # [S]
  opt_state: Any


class Sample(NamedTuple):
  """One joint step of experience, leading axes `[T, B]`, later `[T * B]`."""

  obs: jax.Array
  state: jax.Array
  legal: jax.Array
  raw_action: jax.Array  # see `policy.Head`
  log_prob: jax.Array  # [..., N], of the acting policy
  reward: jax.Array
  discount: jax.Array
  last: jax.Array
  next_state: jax.Array


def check(spec: types.EnvSpec, config: Config) -> None:
  """Refuses settings that do not fit together, or the environment.

  Raises:
    ValueError: naming the setting, its value and what is allowed.
  """
  if config.total_steps < config.steps_per_update:
    raise ValueError(
      f"total_steps {config.total_steps} must be at least "
      f"num_envs * rollout_steps = {config.steps_per_update}"
    )
  if config.steps_per_update % config.num_minibatches:
    raise ValueError(
      f"num_minibatches {config.num_minibatches} does not divide "
      f"num_envs * rollout_steps = {config.steps_per_update}"
    )
  if not 0 < config.enemy_health <= 1:
    raise ValueError(f"enemy_health {config.enemy_health} must be in (0, 1]")
  if config.entities:
    entity_policy.check(spec)
    if config.standardise_obs:
      raise ValueError("entities: reads observations as they are, not standardised")


def init(spec: types.EnvSpec, config: Config, key: jax.Array) -> TrainState:
  """Fresh networks."""
  k_policy, k_value = jax.random.split(key)
  params = Params(
    policy.init(spec, config.policy_hidden, k_policy, config.entities),
    nets.init((spec.state_dim, *config.value_hidden, 1), 1.0, k_value),
  )
  obs, state = (_no_moments(size) for size in (spec.obs_dim, spec.state_dim))
  return TrainState(params, obs, state, _optimizer(config).init(params))


def actor(state: TrainState, config: Config) -> policy.PolicyParams:
  """The acting policy, a function of raw observations."""
  if not config.standardise_obs:
    return state.params.actor
  assert isinstance(state.params.actor, policy.FlatParams)
  return policy.fold_scaling(state.params.actor, state.obs.mean, state.obs.std)


def act(
  params: policy.PolicyParams,
  timestep: types.TimeStep,
  spec: types.EnvSpec,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """What the acting policy does in a rollout.

  Returns:
    Actions, raw actions, and their log-probabilities `[B, N]`.
  """
  head = policy.head(spec.action_kind)
  outputs = policy.outputs(params, timestep.obs, spec)
  raw = head.sample(outputs, timestep.legal, key)
  return head.squash(raw), raw, head.log_prob(outputs, timestep.legal, raw)


def learn(
  state: TrainState,
  data: Sample,
  spec: types.EnvSpec,
  config: Config,
  key: jax.Array,
) -> tuple[TrainState, types.Metrics]:
  """Several passes over one rollout in shuffled minibatches.

  Args:
    state: before.
    data: `[T, B]`, played by `actor(state, config)`.
    spec: of the environment.
    config: hyper-parameters.
    key: of the shuffling.
  """
  moments = _merge(state.state, data.state)

  def scale(x: jax.Array) -> jax.Array:
    return jnp.clip((x - moments.mean) / moments.std, -_MAX_INPUT, _MAX_INPUT)

  value = _value(state.params, scale(data.state))
  next_value = _value(state.params, scale(data.next_state))
  advantage = _advantage(config, data, value, next_value)
  obs = data.obs
  if config.standardise_obs:
    obs = (obs - state.obs.mean) / state.obs.std
  seen = data._replace(state=scale(data.state), obs=obs, next_state=None)
  batch = jax.tree.map(
    lambda x: x.reshape(-1, *x.shape[2:]), (seen, advantage, advantage + value)
  )
  params, opt_state, metrics = _descend(state, batch, spec, config, key)
  if config.standardise_obs:
    state = state._replace(obs=_merge(state.obs, data.obs))
  return state._replace(params=params, state=moments, opt_state=opt_state), metrics


def _no_moments(size: int) -> RunningMoments:
  return RunningMoments(jnp.zeros(()), jnp.zeros((size,)), jnp.ones((size,)))


def _merge(old: RunningMoments, x: jax.Array) -> RunningMoments:
  """Adds `x` `[..., F]` to the moments (Chan et al., 1979)."""
  x = x.reshape(-1, x.shape[-1])
  count = old.count + x.shape[0]
  share = x.shape[0] / count
  delta = x.mean(0) - old.mean
  var = (1 - share) * old.var + share * x.var(0) + share * (1 - share) * delta**2
  return RunningMoments(count, old.mean + share * delta, var)


def _optimizer(config: Config) -> optax.GradientTransformation:
  gradient_steps = config.num_updates * config.num_epochs * config.num_minibatches
  schedule = optax.linear_schedule(
    config.learning_rate, config.learning_rate / 10, gradient_steps
  )
  return optax.chain(
    optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5)
  )


def _value(params: Params, state: jax.Array) -> jax.Array:
  return nets.apply(params.critic, state)[..., 0]


def _advantage(config: Config, data: Sample, value, next_value) -> jax.Array:
  """Generalised advantage estimates `[T, B]`; a time limit bootstraps."""
  reward = config.reward_scale * data.reward
  delta = reward + config.gamma * data.discount * next_value - value
  decay = config.gamma * config.gae_lambda * (1.0 - data.last.astype(jnp.float32))

  def body(advantage, inputs):
    delta_t, decay_t = inputs
    advantage = delta_t + decay_t * advantage
    return advantage, advantage

  start = jnp.zeros_like(delta[0])
  return jax.lax.scan(body, start, (delta, decay), reverse=True)[1]


def _descend(
  state: TrainState, batch, spec: types.EnvSpec, config: Config, key: jax.Array
):
  optimizer = _optimizer(config)

  def minibatch(learner, data):
    params, opt_state = learner
    grads, metrics = jax.grad(_loss, has_aux=True)(params, data, spec, config)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), metrics

  learner = (state.params, state.opt_state)
  budget = config.num_epochs, config.num_minibatches
  learner, metrics = ppo_ops.passes(minibatch, learner, batch, *budget, key)
  return *learner, metrics


def _loss(params: Params, batch, spec: types.EnvSpec, config: Config):
  sample, advantage, target = batch
  head = policy.head(spec.action_kind)
  outputs = policy.outputs(params.actor, sample.obs, spec)
  # An agent with one legal action decides nothing: it has no part in the loss.
  free = (sample.legal.sum(-1) > 1) | (spec.action_kind == "continuous")
  weight = free.astype(jnp.float32) / jnp.maximum(free.sum(), 1.0)
  advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
  log_prob = head.log_prob(outputs, sample.legal, sample.raw_action)
  each = jnp.broadcast_to(advantage[:, None], log_prob.shape)
  gain = ppo_ops.clipped_gain(log_prob, sample.log_prob, each, config.clip)
  value_loss = jnp.square(_value(params, sample.state) - target).mean()
  policy_loss = -(weight * gain).sum()
  entropy = (weight * head.entropy(outputs, sample.legal)).sum()
  loss = policy_loss + config.value_cost * value_loss - config.entropy_cost * entropy
  return loss, {
    "ppo/policy_loss": policy_loss,
    "ppo/value_loss": value_loss,
    "ppo/entropy": entropy,
  }
