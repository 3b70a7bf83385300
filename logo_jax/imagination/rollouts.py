"""Whole imagined rollouts of the present policies, weighed by how far they are trusted.

The same components serve here and for rows of a ring: what halts, halts; what is
charged, is charged; what is drawn less often from a ring weighs less here.
"""

import jax
import jax.numpy as jnp

from logo_jax.imagination.acted import Imagination, Step, act_in_model
from logo_jax.types import Actor, Params, Rollouts, Transition


def imagine_rollouts(
  imagination: Imagination,
  actor: Actor,
  params: tuple[Params, Params, Params],
  starts: Transition,
  budget: tuple[int, int],
  key: jax.Array,
) -> Rollouts:
  """Rolls the policy out in the model, in one scan.

  Args:
    imagination: model, uncertainty and weighting.
    actor: acts.
    params: of the model, the uncertainty and the actor.
    starts: [B] recorded transitions, or histories [B, W], whose `time` is known.
    budget: H steps, and the time limit of an episode. A rollout that comes to the limit
      ends there, and nothing is to be earned behind it.
    key: randomness of policy and model.

  Returns:
    Rollouts [B, H]. Weights are those of steps, relative to a step that is trusted
    wholly, 0 after the end; they are not normalised.
  """
  weighting = imagination.weighting
  horizon, max_steps = budget
  certain = weighting.log_weight(jnp.zeros(()))

  def keep(step: Step) -> tuple[Transition, jax.Array, jax.Array]:
    u = step.uncertainty
    trust = jnp.exp(weighting.log_weight(u) - certain)
    weight = jnp.where(step.valid, trust, 0.0)
    return weighting.on_sample(step.transition, u), weight, u

  _, steps = act_in_model(
    imagination, actor, params, starts, horizon, key, keep=keep, limit=max_steps
  )
  t, weight, u = jax.tree.map(lambda x: x.swapaxes(0, 1), steps)
  goes_on = jnp.pad(weight[:, 1:] > 0, ((0, 0), (0, 1)))
  return Rollouts(t, weight, goes_on, u)
