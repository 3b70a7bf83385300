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


class Targets(NamedTuple):
  """What is learned at the steps that the model is unrolled to, [B, U + 1]."""

  value: jax.Array  # [B, U + 1], in scaled rewards
  action: jax.Array  # [B, U + 1, K, N] or [B, U + 1, K, N, A], looked at
  preferred: jax.Array  # [B, U + 1, K], how much each is wanted


def targets(
  parts: Parts, params: Params, batch: Batch, key: jax.Array
) -> tuple[Targets, Metrics]:
  """Everything is valued and searched anew, from recorded steps alone.

  Args:
    parts: networks and configuration.
    params: of the target network.
    batch: windows [B, T].
    key: of the searches.
  """
  config, t = parts.config, batch.transition
  steps = config.unroll + 1
  after = parts.net.encode(params, t.next_obs)
  returns = functools.partial(td.n_step_returns, num=config.td_steps)
  value = jax.vmap(returns)(
    config.reward_scale * t.reward,
    config.discount * t.discount,
    two_hot.decode(parts.net.value(params, after)),
    jnp.roll(batch.weight, -1, axis=1) > 0,
  )[:, :steps]
  obs, legal, weight = (x[:, :steps] for x in (t.obs, t.legal, batch.weight))
  root, found = lookahead.look(parts, params, obs, legal, key, config.root_noise)
  advantage = found.q - root[..., None]
  preferred = found.share
  if config.search != "gumbel":
    counts = (found.share > 0) * weight[..., None]
    preferred *= awpo.weights(advantage, counts, config.temperature, config.max_weight)
  if config.search == "one_step":
    preferred /= preferred.sum(-1, keepdims=True)
  gain = (preferred * advantage).sum(-1) / jnp.maximum(preferred.sum(-1), 1e-6)
  seen = {
    "learner/value_target": jnp.mean(weight * value),
    "learner/search_gain": jnp.mean(weight * gain),
    "learner/searched": jnp.mean(weight * (found.share > 0).sum(-1)),
  }
  return jax.lax.stop_gradient(Targets(value, found.action, preferred)), seen


def loss(
  parts: Parts, params: Params, batch: Batch, wanted: Targets
) -> tuple[jax.Array, Metrics]:
  """All losses, each a mean over the steps of windows that count.

  Args:
    parts: networks and configuration.
    params: of the network.
    batch: windows [B, T].
    wanted: of the same.
  """
  config, net, t = parts.config, parts.net, batch.transition
  steps = config.unroll
  encoded = actions.encode(t.action[:, :steps], net.spec.action_dim)
  first = net.encode(params, t.obs[:, 0])
  after = unroll(parts, params, first, encoded)  # [B, U, N, H]
  everywhere = jnp.concatenate([first[:, None], after], 1)
  here, behind = batch.weight[:, : steps + 1], batch.weight[:, :steps]
  outputs, legal = net.policy(params, everywhere), t.legal[:, : steps + 1]

  def log_prob(action: jax.Array) -> jax.Array:
    return net.head.log_prob(outputs, legal, action).sum(-1)

  looked_at = jax.vmap(log_prob, 2, 2)(wanted.action)
  value = two_hot.cross_entropy(net.value(params, everywhere), wanted.value)
  terms = {
    "value": jnp.mean(here * value),
    "policy": jnp.mean(here * awpo.loss(looked_at, wanted.preferred)),
    "bc": -jnp.mean(here * log_prob(t.action[:, : steps + 1])),
  }
  for name, cost in _of_steps(parts, params, batch, after, encoded).items():
    terms[name] = jnp.mean(behind * cost)
  total = sum(getattr(config, f"{name}_weight", 1.0) * x for name, x in terms.items())
  return jnp.asarray(total), {f"learner/{k}_loss": x for k, x in terms.items()}


def unroll(
  parts: Parts, params: Params, first: jax.Array, encoded: jax.Array
) -> jax.Array:
  """Latents [B, U, N, H] behind recorded steps, of which each halves the gradient.

  Args:
    parts: the network.
    params: of the network.
    first: [B, N, H] latents of what is observed.
    encoded: [B, U, N, A] actions.
  """

  def move(h: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    after = parts.net.move(params, h, action)
    return 0.5 * after + 0.5 * jax.lax.stop_gradient(after), after

  _, after = jax.lax.scan(move, first, jnp.moveaxis(encoded, 1, 0))
  return jnp.moveaxis(after, 0, 1)


def _of_steps(
  parts: Parts, params: Params, batch: Batch, after: jax.Array, encoded: jax.Array
) -> dict[str, jax.Array]:
  """What each step costs, [B, U]: reward, end, legal actions, and its latents."""
  config, net, t = parts.config, parts.net, batch.transition
  steps = config.unroll
  reward = config.reward_scale * t.reward[:, :steps]
  seen = net.project(params, net.encode(params, t.next_obs[:, :steps]))
  foreseen = net.predict(params, net.project(params, after))
  cosine = optax.cosine_similarity(foreseen, jax.lax.stop_gradient(seen), epsilon=1e-6)
  costs = {
    "reward": two_hot.cross_entropy(net.reward(params, after, encoded), reward),
    "end": optax.sigmoid_binary_cross_entropy(
      net.goes_on(params, after, encoded), t.discount[:, :steps]
    ),
    "consistency": -cosine,
  }
  if net.spec.action_kind == "discrete":
    wanted = t.next_legal[:, :steps].astype("float32")
    logits = net.legal(params, after)
    costs["legal"] = optax.sigmoid_binary_cross_entropy(logits, wanted).mean((-1, -2))
  return costs
