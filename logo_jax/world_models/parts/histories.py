"""Windows of recorded steps, as models with a memory follow them."""

import jax
import jax.numpy as jnp

from logo_jax.types import Transition


def as_windows(t: Transition, weight: jax.Array) -> tuple[Transition, jax.Array]:
  """Single steps [B] are windows of one."""
  if weight.ndim == 1:
    return jax.tree.map(lambda x: x[:, None], (t, weight))
  return t, weight


def with_last(t: Transition) -> Transition:
  """A window's T steps, and what the last of them led to, where nothing is done."""
  last = jax.tree.map(lambda x: x[:, -1:], t)
  last = last._replace(
    obs=last.next_obs,
    state=last.next_state,
    legal=last.next_legal,
    action=jnp.zeros_like(last.action),
    time=last.time + 1,
  )
  return jax.tree.map(lambda x, y: jnp.concatenate([x, y], 1), t, last)


def fresh(t: Transition) -> jax.Array:
  """Steps [B, T] that do not go on from the one before, whatever came before them.

  The first of a window, of an episode, and those whose row is repeated beyond an
  episode's end or before its beginning.
  """
  first = jnp.ones_like(t.time[:, :1], bool)
  return jnp.concatenate([first, t.time[:, 1:] != t.time[:, :-1] + 1], 1)
