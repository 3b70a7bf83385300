"""Whole imagined rollouts of the present policies, weighed by how far they are trusted.

The same components serve here and for rows of a ring: what halts, halts; what is
charged, is charged; what is drawn less often from a ring weighs less here.
"""

import jax
import jax.numpy as jnp

from logo_jax.imagination.rollout import rollout
from logo_jax.imagination.rows import Imagination
from logo_jax.types import Actor, Observed, Params, Prediction, Rollouts, Transition


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
    starts: [B] recorded transitions, whose `time` is known.
    budget: H steps, and the time limit of an episode. A rollout that comes to the limit
      ends there, and nothing is to be earned behind it.
    key: randomness of policy and model.

  Returns:
    Rollouts [B, H]. Weights are those of steps, relative to a step that is trusted
    wholly, 0 after the end; they are not normalised.
  """
  model_params, uncertainty_params, actor_params = params
  model, uncertainty, weighting, *_ = imagination
  horizon, max_steps = budget
  certain = weighting.log_weight(jnp.zeros(()))

  def choose(memory, now: Observed, count: jax.Array, key: jax.Array):
    del count
    return actor.act(actor_params, memory, now, key)

  def look(carry: tuple, t: Transition, p: Prediction, count: jax.Array):
    del count
    so_far, alive = carry
    score = uncertainty.score(uncertainty_params, t, p)
    score = uncertainty.accumulate(so_far, score)
    u = uncertainty.calibrate(uncertainty_params, score)
    limit = t.time + 1 >= max_steps
    t = t._replace(discount=jnp.where(limit, 0.0, t.discount))
    t, valid = weighting.on_store(t, u)
    t = weighting.on_sample(t, u)
    valid &= alive
    trust = jnp.exp(weighting.log_weight(u) - certain)
    going = valid & (t.discount > 0.5)
    kept = Rollouts(t, jnp.where(valid, trust, 0.0), going, u)
    return (score, going), kept

  zeros = jnp.zeros_like(starts.reward)
  memories = actor.initial_carry(zeros.shape), (zeros, jnp.ones_like(zeros, bool))
  _, _, steps = rollout(
    model, model_params, starts, choose, look, horizon, key, memories
  )
  steps = jax.tree.map(lambda x: x.swapaxes(0, 1), steps)
  # A step follows only if it is one: a halt comes before it.
  follows = jnp.pad(steps.weight[:, 1:] > 0, ((0, 0), (0, 1)))
  return steps._replace(goes_on=steps.goes_on & follows)
