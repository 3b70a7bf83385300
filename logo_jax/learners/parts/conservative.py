"""Conservative Q-learning of a joint value with decentralised policies.

The part that MACQL and CFCQL share: Bellman error, policy ascent and targets. What they
lower instead of the recorded joint action's value is their `Penalty`. Equations are
those of LOGO, AAMAS 2026, Section 4.4; `learners/macql.py` says how they are read.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax.learners.parts import backup, common, settings
from logo_jax.networks import heads
from logo_jax.networks.policy import Policy, make_policy
from logo_jax.networks.value import JointValue, MixedValue, make_value
from logo_jax.ops import actions
from logo_jax.types import (
  Batch,
  Critic,
  Learner,
  LearnerContext,
  LearnerState,
  Metrics,
  Observed,
  Params,
  Transition,
)


class View(NamedTuple):
  """What a penalty may look at."""

  t: Transition
  encoded: jax.Array  # recorded joint actions, [*b, N, A]
  value: Params
  context: Any  # of the value, at the current state
  outputs: jax.Array  # of the policy, at the current observations
  next_outputs: jax.Array
  weight: jax.Array | float = 1.0  # of rows, for metrics


class Penalty(NamedTuple):
  """The values that Eq. 10 lowers, and whatever must be learned to know them."""

  init: Callable[[jax.Array], tuple[Params, Any]]  # key -> parameters, optimizer state
  # (parameters, optimizer state, batch, key) -> the same two afterwards, and metrics
  update: Callable[..., tuple[Params, Any, Metrics]]
  down: Callable[[Params, View, jax.Array], tuple[jax.Array, Metrics]]  # -> [H, *b]
  alone: int = 0  # updates at first in which nothing but the penalty learns


class Parts(NamedTuple):
  """Built from the configuration; static."""

  config: Any
  policy: Policy
  value: JointValue
  value_range: tuple[float, float] | None


def make_parts(config: Any, context: LearnerContext) -> Parts:
  """Checks the configuration and builds the networks.

  Raises:
    ValueError: a number is out of range, or a choice does not fit the actions.
  """
  spec, statistics = context.spec, context.statistics
  config = common.with_reward_scale(config, spec.action_kind, statistics)
  config = settings.check(config, spec.action_kind)
  trunk = common.make_trunk(config)
  value = make_value(spec, statistics, trunk, config.num_heads)
  if config.policy == "greedy":
    assert isinstance(value, MixedValue)
    head = heads.epsilon_greedy(spec.action_dim, config.exploration)
    policy = Policy(value.utility, head, statistics.obs)
  else:
    head = heads.deterministic_if_continuous(spec, config.action_noise)
    policy = make_policy(spec, statistics.obs, head, trunk)
  return Parts(config, policy, value, backup.value_range(config, context))


def make(parts: Parts, context: LearnerContext, penalty: Penalty) -> Learner:
  """The learner with state params {"policy", "value", "penalty"}."""
  config = parts.config
  trained = ("value",) if config.policy == "greedy" else ("value", "policy")
  optimizers = {name: context.make_optimizer(config.learning_rate) for name in trained}

  def init(key: jax.Array) -> LearnerState:
    k_policy, k_value, k_penalty = jax.random.split(key, 3)
    params: dict[str, Params] = {"value": parts.value.init(k_value)}
    if "policy" in trained:
      params["policy"] = parts.policy.init(k_policy)
    opt_state = {k: optimizers[k].init(params[k]) for k in trained}
    target = jax.tree.map(jnp.copy, params)  # a copy: the state is donated
    params["penalty"], opt_state["penalty"] = penalty.init(k_penalty)
    return LearnerState(params, target, opt_state, jnp.int32(0))

  def update(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    k_loss, k_penalty = jax.random.split(key)
    params, opt_state = dict(state.params), dict(state.opt_state)
    grads, metrics = jax.grad(losses, argnums=2, has_aux=True)(
      parts,
      penalty,
      {k: params[k] for k in trained},
      (state.target, params["penalty"]),
      batch,
      k_loss,
    )
    for k in trained:
      step, opt_state[k] = optimizers[k].update(grads[k], opt_state[k], params[k])
      params[k] = optax.apply_updates(params[k], step)
    current = {k: params[k] for k in trained}
    target = backup.follow(current, state.target, state.step, config)
    new = params, target, opt_state
    if penalty.alone:
      waits, old = state.step < penalty.alone, state[:3]
      new = jax.tree.map(lambda x, y: jnp.where(waits, x, y), old, new)
    params, target, opt_state = new
    params["penalty"], opt_state["penalty"], own = penalty.update(
      params["penalty"], opt_state["penalty"], batch, k_penalty
    )
    return LearnerState(params, target, opt_state, state.step + 1), metrics | own

  return Learner(
    *(init, update, parts.policy.actor(functools.partial(_policy_params, parts))),
    window=config.window,
    config=config,
    critic=None if config.recurrent else _critic(parts),
    advice_weight=config.advice_weight if "policy" in trained else None,
  )


def losses(
  parts: Parts,
  penalty: Penalty,
  params: dict[str, Params],
  held: tuple[dict[str, Params], Params],
  batch: Batch,
  key: jax.Array,
) -> tuple[jax.Array, Metrics]:
  """Eq. 10 of the value plus Eq. 12 of the policy; neither moves the other's networks.

  Args:
    parts: the networks.
    penalty: what Eq. 10 lowers.
    params: {"value"} and, unless the policy is greedy, {"policy"}.
    held: target parameters, and the penalty's own.
    batch: transitions [*b].
    key: of samples.

  Returns:
    The sum of both losses, and metrics.
  """
  config, t = parts.config, batch.transition
  target, penalty_params = held
  k_target, k_down, k_policy = jax.random.split(key, 3)
  contexts = parts.value.contexts(params["value"], t)
  encoded = actions.encode(t.action, t.legal.shape[-1])
  outputs, next_outputs = _policy_outputs(parts, params, contexts, t)
  fixed, next_fixed = jax.lax.stop_gradient((outputs, next_outputs))
  view = View(t, encoded, params["value"], contexts[0], fixed, next_fixed, batch.weight)
  down, down_metrics = penalty.down(penalty_params, view, k_down)
  data_q = parts.value.joint(params["value"], contexts[0], encoded)  # [H, *b]
  target_q, clipped = _target(parts, target, contexts[1], batch, k_target)
  loss, metrics = _value_loss(parts, data_q, target_q, down, batch)
  metrics |= down_metrics | {
    "learner/targets_clipped": jnp.mean(batch.weight * clipped)
  }
  if config.policy == "network":
    frozen = jax.lax.stop_gradient(view)
    policy_loss, more = _policy_loss(parts, frozen, outputs, batch, k_policy)
    loss, metrics = loss + policy_loss, metrics | more
  return loss, metrics


def _value_loss(parts: Parts, data_q, target_q, down, batch: Batch):
  """Eq. 10: half the squared Bellman error plus alpha times the conservative gap."""
  config = parts.config
  row = {"batch": batch.weight, "real": real_weight(batch)}
  gap = row[config.push_down_on] * down - row[config.push_up_on] * data_q
  bellman = jnp.mean(row[config.bellman_on] * 0.5 * (data_q - target_q) ** 2)
  conservative = jnp.mean(gap)
  scale = config.reward_scale
  metrics = {
    "learner/bellman_error": bellman / scale**2,
    "learner/cql_gap": conservative / scale,
    "learner/q": jnp.mean(batch.weight * data_q) / scale,
    "learner/q_target": jnp.mean(batch.weight * target_q) / scale,
  }
  # Heads learn apart: sum over them, mean over the batch.
  return config.num_heads * (bellman + config.cql_weight * conservative), metrics


def _policy_loss(
  parts: Parts, view: View, outputs: jax.Array, batch: Batch, key: jax.Array
) -> tuple[jax.Array, Metrics]:
  """Eq. 12, negated: -Q(s, pi(o)) + lambda times the cost of other actions."""
  config, t, head = parts.config, view.t, parts.policy.head
  own = head.ascend(outputs, t.legal, key)
  if config.ascend_with == "policy":
    q = parts.value.joint(view.value, view.context, own).min(0)  # [*b]
  else:
    each = parts.value.counterfactual(view.value, view.context, view.encoded, own[None])
    q = each[:, 0].min(0).mean(-1)
  mean_q = jnp.mean(batch.weight * jnp.abs(q)) if config.normalise_q else 1.0
  ascent = jnp.mean(batch.weight * q) / jax.lax.stop_gradient(mean_q + 1e-6)
  cloning = head.imitation(outputs, t.legal, t.action).mean(-1)
  weight = real_weight(batch) if config.bc_on == "real" else batch.weight
  bc = jnp.mean(weight * cloning)
  metrics = {
    "learner/policy_q": jnp.mean(batch.weight * q) / config.reward_scale,
    "learner/bc_loss": bc,
  }
  loss = -ascent + config.bc_weight * bc
  if config.advice_weight and not isinstance(batch.advice, tuple):
    # Section 5.2 adds the term to what it maximises; meant is that it is minimised.
    first = slice(len(batch.advice))
    other = head.imitation(outputs[first], t.legal[first], batch.advice).mean(-1)
    advice = jnp.mean(real_weight(batch)[first] * other)
    loss += config.advice_weight * advice
    metrics["learner/advice_loss"] = advice
  return loss, metrics


def _target(
  parts: Parts,
  target: dict[str, Params],
  next_context: Any,
  batch: Batch,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Eq. 11 with termination, in scaled rewards, and what was clipped; both [*b]."""
  config, t = parts.config, batch.transition
  context, next_target = parts.value.contexts(target["value"], t)
  joint = functools.partial(parts.value.joint, target["value"])
  num_actions = t.next_legal.shape[-1]
  if config.backup == "greedy":
    utilities, _ = jax.lax.stop_gradient(next_context)
    best = actions.greedy(utilities, t.next_legal)  # by each head, [H, *b, N]
    heads_apart = jax.tree.map(lambda x: x[:, None], next_target)
    next_q = jax.vmap(joint)(heads_apart, actions.encode(best, num_actions))[:, 0]
  else:
    _, outputs = _policy_outputs(parts, target, (context, next_target), t)
    head = backup.target_head(parts.policy.head, t, config.target_noise)
    chosen, _ = head.sample(outputs, t.next_legal, key)
    next_q = joint(next_target, actions.encode(chosen, num_actions))
  next_q = next_q.min(0)
  target_q = backup.returns(batch, next_q, config, parts.value_range)
  unclipped = backup.returns(batch, next_q, config)
  return target_q, backup.outside(unclipped, parts.value_range)


def _critic(parts: Parts) -> Critic:
  """The least of the heads."""
  scale = parts.config.reward_scale

  def value(params: dict[str, Params], now: Observed, action: jax.Array) -> jax.Array:
    encoded = actions.encode(action, now.legal.shape[-1])
    context, _ = parts.value.contexts(params["value"], now.standing(action))
    return parts.value.joint(params["value"], context, encoded).min(0) / scale

  return Critic(value, parts.config.discount)


def _policy_outputs(parts: Parts, params, contexts, t: Transition):
  if parts.config.policy == "greedy":
    return tuple(context[0][0] for context in contexts)  # utilities of the first head
  return parts.policy.outputs_both(params["policy"], t)


def _policy_params(parts: Parts, params: dict[str, Params]) -> Params:
  if parts.config.policy == "greedy":
    return jax.tree.map(lambda x: x[0], params["value"]["utility"])
  return params["policy"]


def real_weight(batch: Batch) -> jax.Array:
  """Row weights that count real rows alone, with mean 1 over all batches."""
  return batch.real * batch.weight / batch.real_share
