"""Single transitions, or windows of consecutive ones, by one pair of functions."""

import jax
import jax.numpy as jnp

from logo_jax.data.dataset import draw_starts, transitions, window_transitions
from logo_jax.replay import windows
from logo_jax.types import Rows, Transition


def draw(starts: jax.Array, num: int, length: int, key: jax.Array) -> jax.Array:
  """Draws segments of recorded rows, with replacement; all steps are as likely.

  Args:
    starts: [N] all rows that start a transition, in order.
    num: transitions in all, a multiple of `length`.
    length: T consecutive steps of a segment.
    key: randomness.

  Returns:
    Rows [num] at which single transitions start, or those [num / T, T + 1] of windows.
  """
  if length == 1:
    return draw_starts(starts, num, key)
  return windows.draw(starts, num // length, length, key)


def read(rows: Rows, index: jax.Array) -> tuple[Transition, jax.Array]:
  """Transitions [B] at rows [B], or [W, T] of windows [W, T + 1], and their weights."""
  if index.ndim == 1:
    return transitions(rows, index), jnp.ones(index.shape)
  return window_transitions(rows, index), windows.weights(index)
