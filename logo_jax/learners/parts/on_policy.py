"""The losses of on-policy learning on rollouts in a model; see `learners/mappo.py`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.heads import ActionHead
from logo_jax.networks.policy import Policy
from logo_jax.networks.state_value import StateValue
from logo_jax.ops import ppo, td
from logo_jax.types import LearnerState, Metrics, Params, Rollouts


class Parts(NamedTuple):
  """What the losses are made of."""

  config: Any  # the learner's
  policy: Policy
  value: StateValue

  @property
  def head(self) -> ActionHead:
    return self.policy.head


class Sample(NamedTuple):
  """Steps of rollouts with what is learned from them, [B * H] or a minibatch."""

  step: Rollouts
  log_prob: jax.Array  # [*b, N], of the acting policies
  clone: jax.Array  # outputs of the cloned policies, [*b, N, G]
  advantage: jax.Array  # [*b]
  target: jax.Array  # [*b], between the value's bounds


def prepare(
  parts: Parts, state: LearnerState, rollouts: Rollouts
) -> tuple[Sample, Metrics]:
  """What an update needs to know of its rollouts, before anything is changed.

  Returns:
    Samples [B * H], and metrics.
  """
  config, t = parts.config, rollouts.transition
  params = state.params
  outputs = parts.policy.outputs(params["policy"], t.obs)
  value = parts.value.apply(params["value"], t.state, t.time)
  next_value = parts.value.apply(params["value"], t.next_state, t.time + 1)
  target = jax.vmap(td.lambda_returns)(
    t.reward,
    config.discount * t.discount,
    next_value,
    config.gae_lambda * rollouts.goes_on,
  )
  target = jnp.clip(target, *parts.value.bounds)
  samples = Sample(
    rollouts,
    parts.head.log_prob(outputs, t.legal, t.action),
    parts.policy.outputs(state.target["clone"], t.obs),
    target - value,
    target,
  )
  weight = rollouts.weight
  spread = jnp.mean(weight * (target - jnp.mean(weight * target)) ** 2)
  error = jnp.mean(weight * (target - value) ** 2)
  metrics = {
    "learner/value": value[:, 0].mean(),
    "learner/value_explained": 1.0 - error / jnp.maximum(spread, 1e-12),
  }
  flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), samples)
  return flat, metrics


def value_loss(parts: Parts, params: Params, sample: Sample) -> jax.Array:
  """Squared error of the value, in squares of its range."""
  low, high = parts.value.bounds
  t = sample.step.transition
  share = parts.value.share(params, t.state, t.time)
  wanted = (sample.target - low) / (high - low)
  return jnp.mean(sample.step.weight * (share - wanted) ** 2)


def policy_loss(
  parts: Parts, params: Params, sample: Sample
) -> tuple[jax.Array, Metrics]:
  """The clipped surrogate, held to the clone, for all agents that have a choice."""
  config, head, t = parts.config, parts.head, sample.step.transition
  assert head.kl is not None and head.entropy is not None
  outputs = parts.policy.outputs(params, t.obs)
  log_prob = head.log_prob(outputs, t.legal, t.action)
  advantage = ppo.standardised_advantage(sample.advantage, sample.step.weight)
  gain = ppo.clipped_gain(
    log_prob,
    sample.log_prob,
    jnp.broadcast_to(advantage[:, None], log_prob.shape),
    config.clip,
  )
  weight = sample.step.weight[:, None] * _has_choice(t.legal, t.action)
  weight /= jnp.maximum(weight.sum(), 1e-6)
  kl = (weight * head.kl(outputs, sample.clone, t.legal)).sum()
  entropy = (weight * head.entropy(outputs, t.legal)).sum()
  loss = config.kl_weight * kl - config.entropy_weight * entropy - (weight * gain).sum()
  ratio = jnp.exp(log_prob - sample.log_prob)
  return loss, {
    "learner/kl_to_clone": kl,
    "learner/entropy": entropy,
    "learner/share_clipped": (weight * (jnp.abs(ratio - 1) > config.clip)).sum(),
  }


def _has_choice(legal: jax.Array, action: jax.Array) -> jax.Array:
  """1 for agents with more than one action, [*b, N]."""
  if jnp.issubdtype(action.dtype, jnp.floating):
    return jnp.ones(legal.shape[:-1])
  return (legal.sum(-1) > 1).astype("float32")
