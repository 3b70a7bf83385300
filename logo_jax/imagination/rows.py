"""Imagined rows for a ring: phase 2 of Algorithm 1 (LOGO, AAMAS 2026)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.imagination.rollout import rollout
from logo_jax.replay.ring import Collection
from logo_jax.types import (
  Actor,
  Observed,
  Params,
  Prediction,
  Rows,
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


def imagine_rows(
  imagination: Imagination,
  actor: Actor,
  params: tuple[Params, Params, Params],
  starts: Transition,
  horizon: int,
  key: jax.Array,
) -> Collection:
  """Rolls the policy out in the model, in one scan.

  Rollouts start in the middle of episodes, and a policy with a memory starts them with
  an empty one. So do the windows that it is trained on: from there it has learned to
  act.

  Args:
    imagination: model, uncertainty and weighting.
    actor: acts.
    params: of the model, the uncertainty and the actor.
    starts: [B] recorded transitions; rollouts start where they start.
    horizon: H steps.
    key: randomness of policy and model.

  Returns:
    B * (H + 1) rows, rollout by rollout. A rollout ends where the episode more likely
    ends than goes on; that step is valid, the steps after it are not. It also ends
    before a step that the weighting does not let be stored.
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
    t, valid = weighting.on_store(t, calibrated)
    valid &= alive
    rows = Rows(*(getattr(t, name) for name in Rows._fields))
    return (score, valid & (t.discount > 0.5)), Collection(rows, score, valid)

  zeros = jnp.zeros_like(starts.reward)
  memories = actor.initial_carry(zeros.shape), (zeros, jnp.ones_like(zeros, bool))
  last, _, steps = rollout(
    model, model_params, starts, choose, look, horizon, key, memories
  )
  return _as_rows(last, steps)


def _as_rows(last: Observed, steps: Collection) -> Collection:
  """[H, B, ...] steps and the final prediction, as [B * (H + 1), ...] rows."""
  rows = steps.rows
  final_rows = Rows(
    obs=last.obs,
    state=last.state,
    legal=last.legal,
    action=jnp.zeros_like(rows.action[0]),
    reward=jnp.zeros_like(rows.reward[0]),
    discount=jnp.ones_like(rows.discount[0]),
    time=last.time,
  )
  score, valid = jnp.zeros_like(steps.score[0]), jnp.zeros_like(steps.valid[0])
  final = Collection(final_rows, score, valid)

  def join(x: jax.Array, end: jax.Array) -> jax.Array:
    x = jnp.concatenate([x, end[None]]).swapaxes(0, 1)
    return x.reshape(-1, *x.shape[2:])

  return jax.tree.map(join, steps, final)
