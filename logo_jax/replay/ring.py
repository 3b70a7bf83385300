"""A ring of imagined rollouts, stored as rows with their raw uncertainty.

A collection of B rollouts of H steps is B * (H + 1) consecutive rows, rollout by
rollout; the last row of each holds the final prediction. The ring keeps the last
`num_blocks` collections, first in, first out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from logo_jax.types import Rows


class Collection(NamedTuple):
  """The rows of one collection."""

  rows: Rows  # R = B * (H + 1)
  score: Float[Array, " R"]  # raw uncertainty of the transition that starts here
  valid: Bool[Array, " R"]  # False: after the end of a rollout, or its last row


class Ring(NamedTuple):
  """Storage; capacity is `num_blocks` times the size of a collection."""

  content: Collection
  count: Int[Array, ""]  # collections written so far


def init(collection: Collection, num_blocks: int) -> Ring:
  """An empty ring for collections shaped like `collection` (arrays or their shapes)."""
  content = jax.tree.map(
    lambda x: jnp.zeros((num_blocks * x.shape[0], *x.shape[1:]), x.dtype), collection
  )
  return Ring(content=content, count=jnp.int32(0))


def write(ring: Ring, collection: Collection) -> Ring:
  """Writes a collection over the oldest one."""
  size = collection.valid.shape[0]
  num_blocks = ring.content.valid.shape[0] // size
  first = (ring.count % num_blocks) * size
  content = jax.tree.map(
    lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, first, 0),
    ring.content,
    collection,
  )
  return Ring(content=content, count=ring.count + 1)
