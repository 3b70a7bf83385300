"""Targets and losses of a latent model that is unrolled along recorded windows.

Section 4 of Liu et al., "Efficient multi-agent reinforcement learning by planning",
ICLR 2024, after MuZero and EfficientZero; see `learners/mazero.py`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax.learners.parts import lookahead
from logo_jax.learners.parts.lookahead import Parts
from logo_jax.ops import actions, awpo, td, two_hot
from logo_jax.types import Batch, Metrics, Params


class Preferred(NamedTuple):
  """What searches say of the steps that the model is unrolled to."""

  action: jax.Array  # [B, U + 1, K, N] or [B, U + 1, K, N, A], looked at
  weight: jax.Array  # [B, U + 1, K], how much each is wanted; no gradient


def values(parts: Parts, params: Params, batch: Batch) -> jax.Array:
  """Returns [B, U + 1] of n steps, in scaled rewards, without gradient.

  Args:
    parts: networks and configuration.
    params: of the target network, which values what is behind the n steps.
    batch: windows [B, T].
  """
  config, t = parts.config, batch.transition
  after = parts.net.encode(params, t.next_obs)
  returns = functools.partial(td.n_step_returns, num=config.td_steps)
  found = jax.vmap(returns)(
    config.reward_scale * t.reward,
    config.discount * t.discount,
    two_hot.decode(parts.net.value(params, after)),
    jnp.roll(batch.weight, -1, axis=1) > 0,
  )
  return found[:, : config.unroll + 1]


def preferences(
  parts: Parts, params: Params, batch: Batch, key: jax.Array
) -> tuple[Preferred, Metrics]:
  """Searches anew from all recorded steps that the model is unrolled to.

  Args:
    parts: networks and configuration.
    params: of the target network.
    batch: windows [B, T].
    key: of the searches.
  """
  config, t = parts.config, batch.transition
  obs, legal, weight = (
    x[:, : config.unroll + 1] for x in (t.obs, t.legal, batch.weight)
  )
  root, found = lookahead.look(parts, params, obs, legal, key, config.root_noise)
  advantage = found.q - root[..., None]
  wanted = found.share
  if config.search != "gumbel":
    counts = (found.share > 0) * weight[..., None]
    wanted *= awpo.weights(advantage, counts, config.temperature, config.max_weight)
  total = wanted.sum(-1, keepdims=True)
  if config.search == "one_step":
    wanted /= total
  gain = (wanted * advantage).sum(-1) / wanted.sum(-1)
  seen = {
    "learner/search_gain": jnp.mean(weight * gain),
    "learner/searched": jnp.mean(weight * (found.share > 0).sum(-1)),
  }
  return jax.lax.stop_gradient(Preferred(found.action, wanted)), seen


def loss(
  parts: Parts,
  params: Params,
  batch: Batch,
  value: jax.Array,
  preferred: Preferred | None,
) -> tuple[jax.Array, Metrics]:
  """All losses, each a mean over the steps of windows that count.

  Args:
    parts: networks and configuration.
    params: of the network.
    batch: windows [B, T].
    value: [B, U + 1] to be learned.
    preferred: of the same steps; None: the policies clone, at a weight of 1.
  """
  config, net, t = parts.config, parts.net, batch.transition
  steps = config.unroll
  encoded = actions.encode(t.action[:, :steps], net.spec.action_dim)
  obs = jnp.concatenate([t.obs[:, :1], t.next_obs[:, :steps]], 1)
  seen = net.encode(params, obs)
  after = net.unroll(params, seen[:, 0], encoded)  # [B, U, N, H]
  everywhere = jnp.concatenate([seen[:, :1], after], 1)
  here, behind = batch.weight[:, : steps + 1], batch.weight[:, :steps]
  outputs, legal = net.policy(params, everywhere), t.legal[:, : steps + 1]

  def log_prob(action: jax.Array) -> jax.Array:
    return net.head.log_prob(outputs, legal, action).sum(-1)

  cost = two_hot.cross_entropy(net.value(params, everywhere), value)
  terms = {"value": (config.value_weight, jnp.mean(here * cost))}
  cloning = -jnp.mean(here * log_prob(t.action[:, : steps + 1]))
  terms["bc"] = (1.0 if preferred is None else config.bc_weight, cloning)
  if preferred is not None:
    looked_at = jax.vmap(log_prob, 2, 2)(preferred.action)
    cost = jnp.mean(here * awpo.loss(looked_at, preferred.weight))
    terms["policy"] = (config.policy_weight, cost)
  costs = _of_steps(parts, params, batch, (encoded, after, seen[:, 1:]))
  for name, cost in costs.items():
    weight = config.consistency_weight if name == "consistency" else 1.0
    terms[name] = (weight, jnp.mean(behind * cost))
  total = jnp.asarray(sum(weight * x for weight, x in terms.values()))
  metrics = {f"learner/{name}_loss": x for name, (_, x) in terms.items()}
  return total, metrics | {"learner/value_target": jnp.mean(here * value)}


def _of_steps(
  parts: Parts, params: Params, batch: Batch, steps: tuple[jax.Array, ...]
) -> dict[str, jax.Array]:
  """What each step costs, [B, U]: reward, end, legal actions, and its latents.

  Args:
    parts: the network.
    params: of the network.
    batch: windows [B, T].
    steps: actions [B, U, N, A], and latents [B, U, N, H] behind them, foreseen and
      seen.
  """
  encoded, after, seen = steps
  net, t, num = parts.net, batch.transition, encoded.shape[1]
  reward = parts.config.reward_scale * t.reward[:, :num]
  costs = {
    "reward": two_hot.cross_entropy(net.reward(params, after, encoded), reward),
    "end": optax.sigmoid_binary_cross_entropy(
      net.goes_on(params, after, encoded), t.discount[:, :num]
    ),
    "consistency": net.distance(params, after, seen),
  }
  if net.spec.action_kind == "discrete":
    legal = t.next_legal[:, :num].astype("float32")
    logits = net.legal(params, after)
    costs["legal"] = optax.sigmoid_binary_cross_entropy(logits, legal).mean((-1, -2))
  return costs
