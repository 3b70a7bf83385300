"""Bellman targets, and target networks that follow the learned ones."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from logo_jax.networks import heads
from logo_jax.networks.heads import ActionHead
from logo_jax.ops import td
from logo_jax.types import Batch, LearnerContext, Params, Transition

# Of the range, by how much a target may leave it before it counts as clipped: values
# that are 0 but for noise do all the time.
_NOISE = 0.005


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


def value_range(config: Any, context: LearnerContext) -> tuple[float, float] | None:
  """Least and largest value that the data allow, in scaled rewards; None for no bounds.

  They are those of the recorded returns. Where recordings are cut before episodes end,
  a return goes on past the cut, at most with the least or the largest reward for ever:
  r / (1 - gamma).

  Args:
    config: has `clip_target`, `discount` and `reward_scale`.
    context: has the statistics of the dataset, and what weighting takes from returns.
  """
  if not config.clip_target:
    return None
  statistics = context.statistics
  low, high = statistics.return_range
  low -= context.return_loss
  least, most = (_for_ever(r, config.discount) for r in statistics.cut_rewards)
  return config.reward_scale * min(low, least), config.reward_scale * max(high, most)


def discounted_range(discount: float, context: LearnerContext) -> tuple[float, float]:
  """Least and largest discounted return that there can be, in the environment's units.

  Bounded by the recorded returns to go, whole where episodes go on to their end or to
  the time limit, and by the extreme rewards for ever, r / (1 - gamma). Where weighting
  may take any amount, it has as much room as returns differ in the data: without any,
  all that costs would be worth the least return, whatever it costs.

  Args:
    discount: gamma.
    context: has the statistics of the dataset, and what weighting takes from returns.
  """
  statistics = context.statistics
  low, high = statistics.return_range
  ever = (float(x) for x in (statistics.reward.low, statistics.reward.high))
  least, most = (_for_ever(r, discount) for r in ever)
  low, high = max(low, min(least, 0.0)), min(high, max(most, 0.0))
  loss = context.return_loss
  low -= loss if math.isfinite(loss) else high - low
  return low, max(high, low + 1e-3)


def _for_ever(reward: float, discount: float) -> float:
  if reward == 0:
    return 0.0
  return reward / (1 - discount) if discount < 1 else math.copysign(math.inf, reward)


def outside(target: jax.Array, value_range: tuple[float, float] | None) -> jax.Array:
  """1 where a target is outside of the range and has to be clipped, else 0.

  Args:
    target: unclipped, of any shape.
    value_range: from `value_range`.
  """
  if value_range is None:
    return jnp.zeros_like(target)
  low, high = value_range
  noise = _NOISE * (high - low) if math.isfinite(high - low) else 0.0
  return ((target < low - noise) | (target > high + noise)).astype(target.dtype)


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
