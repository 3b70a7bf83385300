"""The one rollout of a world model that everything imagined and measured is made of."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from logo_jax.types import Observed, Params, Prediction, Transition, WorldModel

# (memory, what is seen, step, key) -> (memory, actions): a policy, or a recording.
Choose = Callable[[Any, Observed, jax.Array, jax.Array], tuple[Any, jax.Array]]
# (memory, imagined transition, prediction, step) -> (memory, what is kept of the step)
Look = Callable[[Any, Transition, Prediction, jax.Array], tuple[Any, Any]]


def at_start(starts: Transition) -> Transition:
  """Where rollouts start, [B]: at the last steps of histories [B, W]."""
  if starts.reward.ndim == 1:
    return starts
  return jax.tree.map(lambda x: x[:, -1], starts)


def rollout(  # noqa: PLR0913  what a loop is made of: a model, two callbacks, a budget
  model: WorldModel,
  params: Params,
  starts: Transition,
  choose: Choose,
  look: Look,
  steps: int,
  key: jax.Array,
  memories: tuple[Any, Any] = ((), ()),
) -> tuple[Observed, Any, Any]:
  """Goes on from recorded states, in one scan.

  Args:
    model: the world model.
    params: of the model.
    starts: [B] recorded transitions; rollouts start where they start. For a model with
      a memory, histories [B, W]: where the last of them start.
    choose: how actions are chosen.
    look: what is kept of a step; it sees the transition as imagined.
    steps: H.
    key: randomness of model and choice.
    memories: those of `choose` and of `look` at the start.

  Returns:
    What is seen after the last step, what `look` remembers then, and what it has kept
    with a leading axis [H].
  """
  k_start, k_steps = jax.random.split(key)

  def step(carry: tuple, count: jax.Array) -> tuple[tuple, Any]:
    latent, now, (chooser, looker) = carry
    k_act, k_model = jax.random.split(jax.random.fold_in(k_steps, count))
    chooser, action = choose(chooser, now, count, k_act)
    latent, p = model.step(params, latent, action, k_model)
    looker, kept = look(looker, p.transition(now, action), p, count)
    after = Observed(p.obs, p.state, p.legal, jax.tree.map(lambda t: t + 1, now.time))
    return (latent, after, (chooser, looker)), kept

  first = at_start(starts)
  now = Observed(first.obs, first.state, first.legal, first.time)
  carry = (model.start(params, starts, k_start), now, memories)
  (_, last, (_, looker)), kept = jax.lax.scan(step, carry, jnp.arange(steps))
  return last, looker, kept
