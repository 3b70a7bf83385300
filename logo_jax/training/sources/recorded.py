"""Batches of the dataset alone, in which all steps weigh alike."""

import jax

from logo_jax.training import mixing, segments
from logo_jax.training.sources import Acting, Source, UpdateKeys, keep_nothing
from logo_jax.types import Batch, Dataset, Metrics, Rows


def make(size: int, window: int, real_share: float = 1.0) -> Source:
  """Builds the source.

  Args:
    size: transitions of an update, on one device.
    window: consecutive steps of a segment.
    real_share: what batches say of themselves; below 1 where others are added.
  """

  def plan(data: Dataset, keys: UpdateKeys) -> jax.Array:
    return segments.draw(data.starts, size, window, keys.real)

  def draw(
    ready: tuple[()], acting: Acting, rows: Rows, index: jax.Array, keys: UpdateKeys
  ) -> tuple[Batch, Metrics]:
    del ready, acting, keys
    t, weight = segments.read(rows, index)
    return mixing.batch_of(t, weight, True, real_share), {}

  return keep_nothing(plan, draw)
