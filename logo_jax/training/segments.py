"""Single transitions, or windows of consecutive ones, by the same functions."""

import jax
import jax.numpy as jnp

from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import dataset
from logo_jax.data.dataset import transitions, window_transitions
from logo_jax.replay import windows
from logo_jax.types import Rows, Transition, WorldModel


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
    return dataset.draw_starts(starts, num, key)
  return windows.draw(starts, num // length, length, key)


def draw_starts(starts: jax.Array, num: int, window: int, key: jax.Array) -> jax.Array:
  """Draws where rollouts start, uniformly and with replacement.

  Args:
    starts: [N] all rows that start a transition, in order.
    num: B rollouts.
    window: W steps that the model reads (`WorldModel.window`).
    key: randomness.

  Returns:
    Rows [B]; with a memory the rows [B, W] that lead there.
  """
  if window == 1:
    return dataset.draw_starts(starts, num, key)
  anchor = jax.random.randint(key, (num,), 0, starts.shape[0])
  return windows.leading_to(starts, anchor, window)


def read(rows: Rows, index: jax.Array) -> tuple[Transition, jax.Array]:
  """Transitions [B] at rows [B], or [W, T] of windows [W, T + 1], and their weights."""
  if index.ndim == 1:
    return transitions(rows, index), jnp.ones(index.shape)
  return window_transitions(rows, index), windows.weights(index)


def check_model(config: ExperimentConfig, model: WorldModel) -> None:
  """Refuses what does not go with a model that has a memory.

  Raises:
    ValueError: naming the field.
  """
  if model.window == 1:
    return
  assert config.model is not None and config.uncertainty is not None
  name, size = config.model.name, model.window * config.data_parallel
  if config.fit.batch_size % size:
    raise ValueError(
      f"fit.batch_size: must be a multiple of model.window on each device ({size}), "
      f"got {config.fit.batch_size}"
    )
  if config.fit.unroll > 1:
    raise ValueError(
      f"fit.unroll: must be 1 with model.name {name!r}, which learns on windows of "
      f"what was observed; got {config.fit.unroll}"
    )
  if config.uncertainty.name != "none":
    raise ValueError(
      f"uncertainty.name: {config.uncertainty.name!r} is calibrated on single steps, "
      f"but model.name {name!r} has a memory; allowed is 'none'"
    )
