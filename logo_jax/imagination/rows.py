"""Imagined rows for a ring: phase 2 of Algorithm 1 (LOGO, AAMAS 2026)."""

import jax
import jax.numpy as jnp

from logo_jax.imagination.acted import Imagination, Step, act_in_model
from logo_jax.replay.ring import Collection
from logo_jax.types import Actor, Observed, Params, Rows, Transition


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
    starts: [B] recorded transitions, or histories [B, W]; see `rollout`.
    horizon: H steps.
    key: randomness of policy and model.

  Returns:
    B * (H + 1) rows, rollout by rollout, which end as `act_in_model` says.
  """

  def keep(step: Step) -> Collection:
    rows = Rows(*(getattr(step.transition, name) for name in Rows._fields))
    return Collection(rows, step.score, step.valid)

  last, steps = act_in_model(
    imagination, actor, params, starts, horizon, key, keep=keep
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
