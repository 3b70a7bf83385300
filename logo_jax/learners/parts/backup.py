"""Bellman targets, and target networks that follow the learned ones."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from logo_jax.networks import heads
from logo_jax.networks.heads import ActionHead
from logo_jax.ops import td
from logo_jax.types import Batch, Params, Statistics, Transition


def returns(
  batch: Batch,
  next_q: jax.Array,
  config: Any,
  value_range: tuple[float, float] | None = None,
) -> jax.Array:
  """One-step or TD(lambda) targets.

  Args:
    batch: transitions [*b]; for TD(lambda), windows [B, T].
    next_q: value of each step's next state, [*b], in scaled rewards.
    config: has `discount`, `reward_scale` and `td_lambda`.
    value_range: least and largest possible value, in scaled rewards; None for none.

  Returns:
    Targets [*b] without gradient. The recursion of TD(lambda) ends where the window
    does, or where its steps stop counting.
  """
  t = batch.transition
  reward, discount = config.reward_scale * t.reward, config.discount * t.discount
  if config.td_lambda == 0:
    return td.one_step_target(reward, discount, next_q, value_range)
  goes_on = jnp.roll(batch.weight, -1, axis=-1) > 0
  lambdas = config.td_lambda * goes_on
  target = jax.vmap(td.lambda_returns)(reward, discount, next_q, lambdas)
  return target if value_range is None else jnp.clip(target, *value_range)


def value_range(config: Any, statistics: Statistics) -> tuple[float, float] | None:
  """Least and largest value that the data allow, in scaled rewards; None for no bounds.

  Args:
    config: has `clip_target` and `reward_scale`.
    statistics: of the dataset.
  """
  if not config.clip_target:
    return None
  low, high = statistics.return_range
  return config.reward_scale * low, config.reward_scale * high


def follow(params: Params, target: Params, step: jax.Array, config: Any) -> Params:
  """Moves the target by `target_rate` every `target_period` updates.

  Args:
    params: of the learned networks.
    target: parameters of the same structure.
    step: updates before this one.
    config: has `target_rate` and `target_period`.
  """
  moved = optax.incremental_update(params, target, config.target_rate)
  if config.target_period == 1:
    return moved
  due = (step + 1) % config.target_period == 0
  return jax.tree.map(lambda x, y: jnp.where(due, x, y), moved, target)


def target_head(head: ActionHead, t: Transition, noise: float) -> ActionHead:
  """The head with which targets sample: continuous actions have noise of their own."""
  if jnp.issubdtype(t.action.dtype, jnp.integer):
    return head
  return heads.deterministic(head.num_outputs, max(noise, 1e-6))
