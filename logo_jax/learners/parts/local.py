"""What OMAR's losses are made of: values of agents' own actions, of either kind.

`learners/omar.py` puts the terms together and says how they differ from the published
code. Values are in scaled rewards.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.learners.parts import backup
from logo_jax.networks.local_value import LocalActionValues, LocalValue
from logo_jax.networks.policy import Policy
from logo_jax.ops import actions, cem, cql
from logo_jax.types import Batch, Params

_FLOOR = 1e-5  # added to the probability of a poor recorded action; published code


class Parts(NamedTuple):
  """Built from the configuration; static."""

  config: Any
  policy: Policy
  value: LocalActionValues | LocalValue
  search: cem.SearchConfig
  value_range: tuple[float, float] | None


class ValueTerms(NamedTuple):
  """What the loss of the values is made of."""

  data_q: jax.Array  # of recorded actions, [H, *b, N]
  down: jax.Array  # soft maximum that the conservative term lowers, [H, *b, N]
  target_q: jax.Array  # [*b, N], without gradient
  clipped: jax.Array  # 1 where a target was outside the range of values, [*b, N]


class PolicyTerms(NamedTuple):
  """What the loss of the policies is made of, each [*b, N]."""

  q: jax.Array  # value of the policy
  ascent: jax.Array  # along its gradient the policy's value rises
  distance: jax.Array  # mean squared one to the action that the search found
  gain: jax.Array  # how much more than the policy's that action's value is
  penalty: jax.Array  # mean squared continuous action


def value_terms(
  parts: Parts,
  params: Params,
  target: dict[str, Params],
  batch: Batch,
  outputs: tuple[jax.Array, jax.Array],
  key: jax.Array,
) -> ValueTerms:
  """Terms of the values' loss.

  Args:
    parts: the networks.
    params: of the values.
    target: {"policy", "value"} of the target networks.
    batch: transitions [*b].
    outputs: of the policies at the current and the next observations, no gradient.
    key: of samples.
  """
  k_target, k_down = jax.random.split(key)
  t, config = batch.transition, parts.config
  _, target_outputs = parts.policy.outputs_both(target["policy"], t)
  if isinstance(parts.value, LocalActionValues):
    q = parts.value.values(params, t.obs, t.state)  # [H, *b, N, A]
    data_q = _select(q, t.action)
    legal = t.legal if config.lse_on == "legal" else jnp.ones_like(t.legal)
    down = jnp.vectorize(cql.masked_logsumexp, signature="(a),(a)->()")(q, legal)
    best = parts.policy.head.mode(target_outputs, t.next_legal)
    next_q = _select(
      parts.value.values(target["value"], t.next_obs, t.next_state), best
    )
  else:
    context = parts.value.context(params, t.obs)
    data_q = parts.value.values(params, context, t.action)
    down = _sampled_push_down(parts, params, context, outputs, k_down)
    head = backup.target_head(parts.policy.head, t, config.target_noise)
    best, _ = head.sample(target_outputs, t.next_legal, k_target)
    next_context = parts.value.context(target["value"], t.next_obs)
    next_q = parts.value.values(target["value"], next_context, best)
  return ValueTerms(data_q, down, *_target(parts, next_q, batch))


def policy_terms(
  parts: Parts, params: Params, batch: Batch, outputs: jax.Array, key: jax.Array
) -> PolicyTerms:
  """Terms of the policies' loss.

  Args:
    parts: the networks.
    params: of the values; no gradient may flow into them.
    batch: transitions [*b].
    outputs: of the policies at the current observations.
    key: of the search.
  """
  if isinstance(parts.value, LocalActionValues):
    return _discrete_policy(parts.value, params, batch, outputs)
  pi = parts.policy.head.mode(outputs, None)  # [*b, N, A]
  context = parts.value.context(params, batch.transition.obs)
  q = parts.value.values(params, context, pi)[0]
  if parts.config.search_weight == 0:
    found, gain = jax.lax.stop_gradient(pi), jnp.zeros_like(q)
  else:
    found, gain = search(parts, params, context, jax.lax.stop_gradient((pi, q)), key)
  distance, penalty = jnp.mean((pi - found) ** 2, -1), jnp.mean(pi**2, -1)
  return PolicyTerms(q, q, distance, gain, penalty)


def search(
  parts: Parts,
  params: Params,
  context: jax.Array,
  policy: tuple[jax.Array, jax.Array],
  key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """The better of what the search finds and what the policy does, by the first head.

  Args:
    parts: the networks, of continuous actions.
    params: of the values.
    context: of the values at the observations.
    policy: its actions [*b, N, A] and their values [*b, N].
    key: of the draws.

  Returns:
    Actions [*b, N, A], and by how much their value exceeds the policy's, [*b, N].
  """
  assert isinstance(parts.value, LocalValue)
  pi, q = policy

  def one(score, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return cem.search(score, key, parts.search, pi.shape[-1])

  found, found_q = parts.value.for_each(one, params, context, key)
  better = found_q > q
  return jnp.where(better[..., None], found, pi), jnp.maximum(found_q - q, 0.0)


def _discrete_policy(
  value: LocalActionValues, params: Params, batch: Batch, logits: jax.Array
) -> PolicyTerms:
  """Terms of a categorical policy.

  The gradient of log(pi + floor) vanishes with pi. That keeps a recorded action that is
  worse than the policy from being pushed down for ever; one that is better keeps its
  full gradient, or a policy that was sure too early would never learn of it.
  """
  t = batch.transition
  q = value.values(params, t.obs, t.state)[0]  # [*b, N, A]
  probs = jnp.asarray(actions.distribution(logits, t.legal).probs)
  policy_q = jnp.sum(probs * q, -1)
  advantage = jax.lax.stop_gradient(actions.select(q, t.action) - policy_q)
  log_prob = actions.log_prob(logits, t.legal, t.action)
  floored = jnp.logaddexp(log_prob, jnp.log(_FLOOR))
  ascent = advantage * jnp.where(advantage > 0, log_prob, floored)
  best = actions.greedy(q, t.legal)
  distance = jnp.mean((probs - actions.encode(best, q.shape[-1])) ** 2, -1)
  gain = actions.select(q, best) - policy_q
  return PolicyTerms(policy_q, ascent, distance, gain, jnp.zeros_like(gain))


def _sampled_push_down(
  parts: Parts,
  params: Params,
  context: jax.Array,
  outputs: tuple[jax.Array, jax.Array],
  key: jax.Array,
) -> jax.Array:
  """CQL's soft maximum, [H, *b, N], from K actions of each agent and kind."""
  config, head = parts.config, parts.policy.head
  assert isinstance(parts.value, LocalValue)
  now, after = outputs
  kinds = (
    lambda k: head.uniform(jnp.ones(now.shape, bool), k),
    lambda k: head.sample(now, None, k),
    lambda k: head.sample(after, None, k),
  )
  drawn, subtracted = [], []
  for kind, sample in enumerate(kinds):
    keys = jax.random.split(jax.random.fold_in(key, kind), config.num_samples)
    action, log_prob = jax.vmap(sample)(keys)
    published = kind > 0 and config.push_down == "density"
    drawn.append(action)
    subtracted.append(jnp.exp(log_prob) if published else log_prob)
  samples, minus = jnp.concatenate(drawn), jnp.concatenate(subtracted)
  q = parts.value.values(params, context, samples)  # [H, K, *b, N]
  push_down = jnp.vectorize(cql.logsumexp_push_down, signature="(k),(k)->()")
  return push_down(jnp.moveaxis(q, 1, -1), jnp.moveaxis(minus, 0, -1))


def _target(
  parts: Parts, next_q: jax.Array, batch: Batch
) -> tuple[jax.Array, jax.Array]:
  """The least of the heads' returns, [*b, N], and which had to be clipped.

  The team's reward is every agent's.
  """

  def least(value_range: tuple[float, float] | None) -> jax.Array:
    def returns(q: jax.Array) -> jax.Array:
      return backup.returns(batch, q, parts.config, value_range)

    return jax.vmap(jax.vmap(returns, -1, -1))(next_q).min(0)

  return least(parts.value_range), backup.outside(least(None), parts.value_range)


def _select(q: jax.Array, action: jax.Array) -> jax.Array:
  """Values [H, *b, N] of actions [*b, N] among all, [H, *b, N, A]."""
  return jax.vmap(actions.select, (0, None))(q, action)
