"""Imagined rollouts: phase 2 of Algorithm 1 (LOGO, AAMAS 2026)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.replay.ring import Collection
from logo_jax.training.compose import Imagination
from logo_jax.types import Learner, Params, Rows, Transition


class _Carry(NamedTuple):
  latent: Any
  memory: Any  # of the policy
  obs: jax.Array
  state: jax.Array
  legal: jax.Array
  score: jax.Array  # raw uncertainty so far
  alive: jax.Array  # the rollout has not ended yet


def imagine(
  imagination: Imagination,
  learner: Learner,
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
    learner: acts.
    params: of the model, the uncertainty and the learner.
    starts: [B] recorded transitions; rollouts start where they start.
    horizon: H steps.
    key: randomness of policy and model.

  Returns:
    B * (H + 1) rows, rollout by rollout. A rollout ends where the episode more likely
    ends than goes on; that step is valid, the steps after it are not.
  """
  model_params, uncertainty_params, learner_params = params
  model, uncertainty, weighting, *_ = imagination

  def step(carry: _Carry, count: jax.Array) -> tuple[_Carry, Collection]:
    k_act, k_model = jax.random.split(jax.random.fold_in(k_steps, count))
    memory, action = learner.act(
      learner_params, carry.memory, carry.obs, carry.legal, k_act
    )
    latent, p = model.step(model_params, carry.latent, action, k_model)
    t = p.transition(carry.obs, carry.state, carry.legal, action)
    score = uncertainty.score(uncertainty_params, t, p)
    score = uncertainty.accumulate(carry.score, score)
    calibrated = uncertainty.calibrate(uncertainty_params, score)
    t, valid = weighting.on_store(t, calibrated)
    rows = Rows(t.obs, t.state, t.legal, t.action, t.reward, t.discount)
    out = Collection(rows, score, valid & carry.alive)
    alive = carry.alive & (t.discount > 0.5)
    return _Carry(latent, memory, p.obs, p.state, p.legal, score, alive), out

  k_start, k_steps = jax.random.split(key)
  zeros = jnp.zeros_like(starts.reward)
  carry = _Carry(
    latent=model.start(model_params, starts, k_start),
    memory=learner.initial_carry(zeros.shape),
    obs=starts.obs,
    state=starts.state,
    legal=starts.legal,
    score=zeros,
    alive=jnp.ones_like(zeros, bool),
  )
  last, steps = jax.lax.scan(step, carry, jnp.arange(horizon))
  return _as_rows(last, steps)


def _as_rows(last: _Carry, steps: Collection) -> Collection:
  """[H, B, ...] steps and the final prediction, as [B * (H + 1), ...] rows."""
  rows = steps.rows
  final_rows = Rows(
    obs=last.obs,
    state=last.state,
    legal=last.legal,
    action=jnp.zeros_like(rows.action[0]),
    reward=jnp.zeros_like(rows.reward[0]),
    discount=jnp.ones_like(rows.discount[0]),
  )
  final = Collection(final_rows, jnp.zeros_like(last.score), jnp.zeros_like(last.alive))

  def join(x: jax.Array, end: jax.Array) -> jax.Array:
    x = jnp.concatenate([x, end[None]]).swapaxes(0, 1)
    return x.reshape(-1, *x.shape[2:])

  return jax.tree.map(join, steps, final)
