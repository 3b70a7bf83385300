"""Next steps that decoders say outright, as vectors, and not as changes of this one."""

import jax
import jax.numpy as jnp

from logo_jax.codecs import flat
from logo_jax.codecs.tokens import outright
from logo_jax.types import EnvSpec, Statistics
from logo_jax.world_models.parts.direct import one_view
from logo_jax.world_models.parts.frame import Frame, Heads, Said


def make_frame(
  spec: EnvSpec, statistics: Statistics, termination_class_weight: float
) -> Frame:
  """Of flat vectors, of which no variance is said."""
  state = flat.make(statistics.state, None, variance_exponent=None)
  obs = flat.make(statistics.obs, spec.obs_mask, variance_exponent=None)
  return Frame(spec, statistics, state, obs, termination_class_weight)


def said(frame: Frame, obs: jax.Array, state: jax.Array, follows: Heads) -> Said:
  """One view of a next step.

  Args:
    frame: of `make_frame`.
    obs: what a decoder says of observations, [*b, N, O].
    state: and of the state, [*b, S].
    follows: reward, end, and what is legal.
  """
  of_obs, of_state = outright(frame.obs, obs), outright(frame.state, state)
  view = one_view(frame.state.standardised(of_state), frame.obs.standardised(of_obs))
  return Said(
    obs=of_obs,
    state=of_state,
    **follows._asdict(),
    mean=view,
    std=jnp.zeros_like(view),
  )
