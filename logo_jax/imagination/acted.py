"""The present policies in a model, step by step scored and weighed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.imagination.rollout import at_start, rollout
from logo_jax.types import (
  Actor,
  Observed,
  Params,
  Prediction,
  Transition,
  Uncertainty,
  Weighting,
  WorldModel,
)


class Imagination(NamedTuple):
  """The model-based half of a system."""

  model: WorldModel
  uncertainty: Uncertainty
  weighting: Weighting
  # (rewards, discounts) -> bool, the steps at which something happens; for metrics.
  eventful: Callable[[jax.Array, jax.Array], jax.Array] = lambda r, d: d <= 0.5
  ends_known: bool = False  # episodes end by the environment's rule


class Step(NamedTuple):
  """One imagined step, [B]."""

  transition: Transition  # as the weighting stores it
  score: jax.Array  # raw uncertainty, accumulated
  uncertainty: jax.Array  # calibrated
  valid: jax.Array  # bool, it belongs to the rollout


def act_in_model(  # noqa: PLR0913  a system's parts and what is kept of them
  imagination: Imagination,
  actor: Actor,
  params: tuple[Params, Params, Params],
  starts: Transition,
  horizon: int,
  key: jax.Array,
  *,
  keep: Callable[[Step], Any],
  limit: int | None = None,
) -> tuple[Observed, Any]:
  """Rolls the policy out in the model, in one scan.

  A rollout ends where the episode more likely ends than goes on; that step is valid,
  the steps after it are not. It also ends before a step that the weighting does not let
  be stored.

  Args:
    imagination: model, uncertainty and weighting.
    actor: acts.
    params: of the model, the uncertainty and the actor.
    starts: [B] recorded transitions, or histories [B, W]; see `rollout`.
    horizon: H steps.
    key: randomness of policy and model.
    keep: what is kept of a step.
    limit: time limit of an episode, which ends there; the `time` of `starts` is known.

  Returns:
    What is seen after the last step, and what was kept with a leading axis [H].
  """
  model_params, uncertainty_params, actor_params = params
  model, uncertainty, weighting, *_ = imagination

  def choose(memory, now: Observed, count: jax.Array, key: jax.Array):
    del count
    return actor.act(actor_params, memory, now, key)

  def look(carry: tuple, t: Transition, p: Prediction, count: jax.Array):
    del count
    so_far, alive = carry
    score = uncertainty.score(uncertainty_params, t, p)
    score = uncertainty.accumulate(so_far, score)
    calibrated = uncertainty.calibrate(uncertainty_params, score)
    if limit is not None:
      over = t.time + 1 >= limit
      t = t._replace(discount=jnp.where(over, 0.0, t.discount))
    t, valid = weighting.on_store(t, calibrated)
    valid &= alive
    kept = keep(Step(t, score, calibrated, valid))
    return (score, valid & (t.discount > 0.5)), kept

  zeros = jnp.zeros_like(at_start(starts).reward)
  memories = actor.initial_carry(zeros.shape), (zeros, jnp.ones_like(zeros, bool))
  if model.draw is not None:
    model = model._replace(step=model.draw)
  last, _, steps = rollout(
    model, model_params, starts, choose, look, horizon, key, memories
  )
  return last, steps
