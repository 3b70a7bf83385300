"""How a policy's outputs become actions; one head per kind of action and of policy.

Learners handle actions through a head, so that the same loss serves all kinds. Actions
as inputs of a value are "encoded": one-hot if discrete, as they are if continuous
(`ops.actions.encode`). Continuous actions lie in [-1, 1], and nothing is illegal.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.ops import actions, gaussian, tanh_normal
from logo_jax.ops.gaussian import bound_log_var
from logo_jax.types import EnvSpec

_LOG_VAR_RANGE = (-10.0, 2.0)  # of a squashed normal before squashing


class ActionHead(NamedTuple):
  """Functions of outputs [*b, N, G] and legal [*b, N, A]."""

  num_outputs: int  # G
  mode: Callable[..., jax.Array]  # (outputs, legal) -> greedy actions
  # (outputs, legal, key) -> actions, and their log-probability [*b, N]
  sample: Callable[..., tuple[jax.Array, jax.Array]]
  # (legal, key) -> actions uniform over all that are allowed, and log-probability
  uniform: Callable[..., tuple[jax.Array, jax.Array]]
  # (outputs, legal, key) -> encoded actions [*b, N, A] through which gradients flow
  ascend: Callable[..., jax.Array]
  # (outputs, legal, actions) -> log-probability [*b, N]
  log_prob: Callable[..., jax.Array]
  # (outputs, legal, actions) -> cost of another action than the recorded one, [*b, N]
  imitation: Callable[..., jax.Array]
  # Of stochastic policies, [*b, N]: (outputs, others, legal) -> KL divergence from the
  # others, and (outputs, legal) -> entropy, before squashing.
  kl: Callable[..., jax.Array] | None = None
  entropy: Callable[..., jax.Array] | None = None


def stochastic(spec: EnvSpec) -> ActionHead:
  """Masked categorical, or squashed normal, by the kind of actions."""
  if spec.action_kind == "discrete":
    return categorical(spec.action_dim)
  return squashed_normal(spec.action_dim)


def deterministic_if_continuous(spec: EnvSpec, noise: float) -> ActionHead:
  """Masked categorical, or a squashed point with noise, by the kind of actions."""
  if spec.action_kind == "discrete":
    return categorical(spec.action_dim)
  return deterministic(spec.action_dim, noise)


def categorical(num_actions: int) -> ActionHead:
  """Outputs are logits; gradients of samples are straight-through."""

  def sample(logits: jax.Array, legal: jax.Array, key: jax.Array):
    action = actions.sample(logits, legal, key)
    return action, actions.log_prob(logits, legal, action)

  return ActionHead(
    num_outputs=num_actions,
    mode=actions.greedy,
    sample=sample,
    uniform=_uniform_discrete,
    ascend=actions.sample_straight_through,
    log_prob=actions.log_prob,
    imitation=lambda logits, legal, action: -actions.log_prob(logits, legal, action),
    kl=actions.kl,
    entropy=actions.entropy,
  )


def epsilon_greedy(num_actions: int, epsilon: float) -> ActionHead:
  """Outputs are values of the actions; samples explore with probability `epsilon`."""

  def log_prob(values: jax.Array, legal: jax.Array, action: jax.Array) -> jax.Array:
    is_best = action == actions.greedy(values, legal)
    return jnp.log(epsilon / legal.sum(-1) + (1 - epsilon) * is_best + 1e-12)

  def sample(values: jax.Array, legal: jax.Array, key: jax.Array):
    k_coin, k_any = jax.random.split(key)
    best = actions.greedy(values, legal)
    anything, _ = _uniform_discrete(legal, k_any)
    explores = jax.random.uniform(k_coin, best.shape) < epsilon
    action = jnp.where(explores, anything, best)
    return action, log_prob(values, legal, action)

  return ActionHead(
    num_outputs=num_actions,
    mode=actions.greedy,
    sample=sample,
    uniform=_uniform_discrete,
    ascend=lambda values, legal, key: jax.nn.one_hot(
      actions.greedy(values, legal), num_actions
    ),
    log_prob=log_prob,
    imitation=lambda values, legal, action: -log_prob(values, legal, action),
  )


def squashed_normal(action_dim: int) -> ActionHead:
  """Outputs are means and raw log-variances before tanh; samples have gradients."""

  def normal(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean, raw = jnp.split(outputs, 2, axis=-1)
    return mean, bound_log_var(raw, *_LOG_VAR_RANGE)

  def log_prob(outputs: jax.Array, legal: jax.Array, action: jax.Array) -> jax.Array:
    del legal
    return tanh_normal.log_prob(action, *normal(outputs))

  def ascend(outputs: jax.Array, legal: jax.Array, key: jax.Array) -> jax.Array:
    del legal
    return tanh_normal.sample(*normal(outputs), key)

  def sample(outputs: jax.Array, legal: jax.Array, key: jax.Array):
    action = ascend(outputs, legal, key)
    return action, log_prob(outputs, legal, action)

  return ActionHead(
    num_outputs=2 * action_dim,
    mode=lambda outputs, legal: tanh_normal.mode(normal(outputs)[0]),
    sample=sample,
    uniform=_uniform_continuous,
    ascend=ascend,
    log_prob=log_prob,
    imitation=lambda outputs, legal, action: -log_prob(outputs, legal, action),
    # Squashing is one-to-one: the divergence is that of the normals.
    kl=lambda outputs, other, legal: gaussian.kl(*normal(outputs), *normal(other)),
    entropy=lambda outputs, legal: gaussian.entropy(normal(outputs)[1]),
  )


def deterministic(action_dim: int, noise: float) -> ActionHead:
  """Outputs are actions before tanh; samples add normal noise of deviation `noise`.

  Densities are those of the noise before it is clipped to the box.
  """

  def mode(outputs: jax.Array, legal: jax.Array | None = None) -> jax.Array:
    del legal
    return jnp.tanh(outputs)

  def density(distance: jax.Array) -> jax.Array:
    return jax.scipy.stats.norm.logpdf(distance, scale=noise).sum(-1)

  def sample(outputs: jax.Array, legal: jax.Array, key: jax.Array):
    del legal
    epsilon = noise * jax.random.normal(key, outputs.shape)
    return jnp.clip(mode(outputs) + epsilon, -1.0, 1.0), density(epsilon)

  return ActionHead(
    num_outputs=action_dim,
    mode=mode,
    sample=sample,
    uniform=_uniform_continuous,
    ascend=lambda outputs, legal, key: mode(outputs),
    log_prob=lambda outputs, legal, action: density(action - mode(outputs)),
    imitation=lambda outputs, legal, action: jnp.mean(
      jnp.square(action - mode(outputs)), -1
    ),
  )


def _uniform_discrete(legal: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
  logits = jnp.zeros(legal.shape)
  action = actions.sample(logits, legal, key)
  return action, actions.log_prob(logits, legal, action)


def _uniform_continuous(
  legal: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  action = jax.random.uniform(key, legal.shape, minval=-1.0, maxval=1.0)
  log_density = legal.shape[-1] * jnp.log(0.5)
  return action, jnp.full(legal.shape[:-1], log_density)
