"""Multi-agent conservative Q-learning, LOGO's backbone (Section 4.4, AAMAS 2026).

A centralised value, monotonically mixed from per-agent utilities, and decentralised
policies. The paper's Eq. 10 to 12 in this reading:

* Eq. 10: the Bellman error is taken on the whole batch, real and imagined; as printed,
  imagined rewards and next states would never be used. Both conservative terms are
  taken on real rows. Pushing imagined states down and real ones up (COMBO, Yu et al.,
  2021; `push_down_on="batch"`) parts their values without bound at a weight as large as
  discrete actions need: Bellman errors were fifteen times larger on SMAX.
* The push-down is CQL's soft maximum over sampled legal joint actions;
  `push_down="policy"` is the printed expectation over the policy.
* Eq. 11: the value of the next step is 0 after termination, and a minimum over two
  heads of the policy's own joint action; `backup="greedy"` is the printed maximum,
  which under monotonic mixing is the joint action of the agents' best utilities.
* Eq. 12: the policy ascends the value along straight-through samples; cloning is the
  cross entropy of the recorded actions.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax import ranges
from logo_jax.networks.policy import Policy, make_policy
from logo_jax.networks.value import MixedValue, make_value, mix
from logo_jax.ops import actions, cql, td
from logo_jax.types import (
  Batch,
  Learner,
  LearnerContext,
  LearnerState,
  Metrics,
  Params,
  Transition,
)


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; "measured" marks values chosen in trials on SMAX 2s3z."""

  hidden_size: int = 256  # units; Table 8
  learning_rate: float = 3e-4  # Adam, of value and policy; Table 8 has 1e-3
  discount: float = 0.99  # gamma, per step
  cql_weight: float = 10.0  # alpha of Eq. 10; below 4 values inflate; measured
  num_samples: int = 16  # joint actions per state, uniform and policy each
  push_down: Literal["logsumexp", "policy"] = "logsumexp"
  push_down_on: Literal["batch", "real"] = "real"
  push_up_on: Literal["real", "batch"] = "real"
  bellman_on: Literal["batch", "real"] = "batch"
  backup: Literal["policy", "greedy"] = "policy"
  bc_weight: float = 1.0  # lambda of Eq. 12
  bc_on: Literal["real", "batch"] = "real"
  # Divide Eq. 12's first term by mean |Q|, of each device's share of the batch.
  normalise_q: bool = True
  reward_scale: float = 10.0  # values are in scaled rewards; measured
  clip_target: bool = True  # to the range of returns-to-go in the data
  target_rate: float = 0.005  # Polyak step per update
  share_agents: bool = True  # one network for all agents with an agent identity
  compute_dtype: Literal["float32", "bfloat16"] = "float32"


class _Parts(NamedTuple):
  config: Config
  policy: Policy
  value: MixedValue
  value_range: tuple[float, float] | None


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner with state params {"policy", "value"} and target = the value's copy.

  Raises:
    ValueError: actions are not discrete, or a number is out of range.
  """
  _check(config, context)
  parts = _parts(config, context)
  value_optimizer = context.make_optimizer(config.learning_rate)
  policy_optimizer = context.make_optimizer(config.learning_rate)

  def init(key: jax.Array) -> LearnerState:
    k_policy, k_value = jax.random.split(key)
    policy = parts.policy.init(context.spec, k_policy)
    value = parts.value.init(context.spec, k_value)
    return LearnerState(
      params={"policy": policy, "value": value},
      target=jax.tree.map(jnp.copy, value),  # a copy: the state is donated
      opt_state=(value_optimizer.init(value), policy_optimizer.init(policy)),
      step=jnp.int32(0),
    )

  def update(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    k_value, k_policy = jax.random.split(key)
    policy, value = state.params["policy"], state.params["value"]
    value_opt, policy_opt = state.opt_state
    grads, value_metrics = jax.grad(value_loss, argnums=1, has_aux=True)(
      parts, value, policy, state.target, batch, k_value
    )
    updates, value_opt = value_optimizer.update(grads, value_opt, value)
    value = optax.apply_updates(value, updates)
    grads, policy_metrics = jax.grad(policy_loss, argnums=1, has_aux=True)(
      parts, policy, value, batch, k_policy
    )
    updates, policy_opt = policy_optimizer.update(grads, policy_opt, policy)
    policy = optax.apply_updates(policy, updates)
    target = optax.incremental_update(value, state.target, config.target_rate)
    params = {"policy": policy, "value": value}
    new = LearnerState(params, target, (value_opt, policy_opt), state.step + 1)
    return new, value_metrics | policy_metrics

  def act(params: Params, obs, legal, key, greedy: bool = False) -> jax.Array:
    return parts.policy.act(params["policy"], obs, legal, key, greedy)

  return Learner(init=init, update=update, act=act)


def value_loss(
  parts: _Parts,
  value: Params,
  policy: Params,
  target: Params,
  batch: Batch,
  key: jax.Array,
) -> tuple[jax.Array, Metrics]:
  """Eq. 10: alpha times the conservative gap plus half the squared Bellman error."""
  config, t = parts.config, batch.transition
  k_target, k_samples = jax.random.split(key)
  target_q = _target(parts, policy, target, t, k_target)
  utilities, weights = parts.value.utilities(value, t.obs, t.state)
  data_q = mix(_chosen(utilities, t.action), weights)  # [H, B]
  down = _push_down(parts, policy, utilities, weights, t, k_samples)
  bellman = 0.5 * (data_q - target_q) ** 2
  row = {"batch": batch.weight, "real": _real_weight(batch)}
  gap = row[config.push_down_on] * down - row[config.push_up_on] * data_q
  bellman_error = jnp.mean(row[config.bellman_on] * bellman)
  conservative = jnp.mean(gap)
  metrics = {
    "learner/bellman_error": bellman_error / config.reward_scale**2,
    "learner/cql_gap": conservative / config.reward_scale,
    "learner/q": jnp.mean(data_q) / config.reward_scale,
    "learner/q_target": jnp.mean(target_q) / config.reward_scale,
  }
  # Heads learn apart: sum over them, mean over the batch.
  loss = parts.value.num_heads * (bellman_error + config.cql_weight * conservative)
  return loss, metrics


def policy_loss(
  parts: _Parts, policy: Params, value: Params, batch: Batch, key: jax.Array
) -> tuple[jax.Array, Metrics]:
  """Eq. 12, negated: -Q(s, pi(o)) + lambda * cross entropy of the recorded actions."""
  config, t = parts.config, batch.transition
  logits = parts.policy.logits(policy, t.obs)
  utilities, weights = parts.value.utilities(value, t.obs, t.state)
  sampled = actions.sample_straight_through(logits, t.legal, key)
  q = mix((utilities * sampled).sum(-1), weights).min(0)  # [B]
  scale = jnp.mean(batch.weight * jnp.abs(q)) if config.normalise_q else 1.0
  ascent = jnp.mean(batch.weight * q) / jax.lax.stop_gradient(scale + 1e-6)
  cloning = -actions.log_prob(logits, t.legal, t.action).mean(-1)
  weight = _real_weight(batch) if config.bc_on == "real" else batch.weight
  bc = jnp.mean(weight * cloning)
  entropy = actions.distribution(logits, t.legal).entropy().mean()
  metrics = {
    "learner/policy_q": jnp.mean(q) / config.reward_scale,
    "learner/bc_loss": bc,
    "learner/entropy": entropy,
  }
  return -ascent + config.bc_weight * bc, metrics


def _target(
  parts: _Parts, policy: Params, target: Params, t: Transition, key: jax.Array
) -> jax.Array:
  """Eq. 11 with termination: [B], in scaled rewards."""
  config = parts.config
  utilities, weights = parts.value.utilities(target, t.next_obs, t.next_state)
  if config.backup == "greedy":
    chosen = jnp.where(t.next_legal, utilities, -jnp.inf).max(-1)
  else:
    action = parts.policy.act(policy, t.next_obs, t.next_legal, key)
    chosen = _chosen(utilities, action)
  next_q = mix(chosen, weights).min(0)
  return td.one_step_target(
    config.reward_scale * t.reward,
    config.discount * t.discount,
    next_q,
    parts.value_range,
  )


def _push_down(
  parts: _Parts,
  policy: Params,
  utilities: jax.Array,
  weights,
  t: Transition,
  key: jax.Array,
) -> jax.Array:
  """The value that Eq. 10 lowers, [H, B], from K joint actions per state."""
  k_uniform, k_policy = jax.random.split(key)
  num = parts.config.num_samples

  def draw(logits: jax.Array, key: jax.Array):
    """[K, B, N] actions and the joint log-probabilities [K, B]."""
    action = jax.vmap(lambda k: actions.sample(logits, t.legal, k))(
      jax.random.split(key, num)
    )
    log_prob = jax.vmap(lambda a: actions.log_prob(logits, t.legal, a))(action)
    return action, log_prob.sum(-1)

  def joint_q(action: jax.Array) -> jax.Array:
    return jax.vmap(lambda a: mix(_chosen(utilities, a), weights))(action)  # [K, H, B]

  logits = jax.lax.stop_gradient(parts.policy.logits(policy, t.obs))
  action, log_prob = draw(logits, k_policy)
  if parts.config.push_down == "policy":
    return joint_q(action).mean(0)
  uniform_action, uniform_log_prob = draw(jnp.zeros_like(logits), k_uniform)
  q = joint_q(jnp.concatenate([action, uniform_action]))
  log_prob = jnp.concatenate([log_prob, uniform_log_prob])
  per_state = jax.vmap(cql.logsumexp_push_down, (1, 1))  # over B
  return jax.vmap(per_state, (1, None))(q, log_prob)  # over H


def _chosen(utilities: jax.Array, action: jax.Array) -> jax.Array:
  """Utilities [H, B, N, A] of joint actions [B, N]: [H, B, N]."""
  return jax.vmap(actions.select, (0, None))(utilities, action)


def _real_weight(batch: Batch) -> jax.Array:
  """Row weights that count real rows alone, with mean 1 over all batches."""
  return batch.real * batch.weight / batch.real_share


def _parts(config: Config, context: LearnerContext) -> _Parts:
  spec, statistics = context.spec, context.statistics
  sizes = (config.hidden_size, config.share_agents)
  low, high = statistics.return_range
  scale = config.reward_scale
  return _Parts(
    config=config,
    policy=make_policy(spec, statistics.obs, *sizes, dtype=config.compute_dtype),
    value=make_value(spec, statistics, *sizes, dtype=config.compute_dtype),
    value_range=(scale * low, scale * high) if config.clip_target else None,
  )


def _check(config: Config, context: LearnerContext) -> None:
  kind = context.spec.action_kind
  if kind != "discrete":
    raise ValueError(f"learner.name: 'macql' supports discrete actions, got {kind!r}")
  ranges.check(
    "learner.",
    config,
    hidden_size="[1",
    learning_rate="(0",
    discount="[0,1]",
    cql_weight="[0",
    num_samples="[1",
    bc_weight="[0",
    reward_scale="(0",
    target_rate="(0,1]",
  )
