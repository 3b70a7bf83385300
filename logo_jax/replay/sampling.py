"""Exact sampling in proportion to weights, in two levels.

A flat float32 cumulative sum over a million weights is not even monotone on XLA.
Instead the rows are cut into blocks; a block is drawn by the blocks' sums, then a row
inside it. Each sum has about a thousand terms, for which float32 is exact enough
(total-variation distance below 1e-4 at two million rows).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class BlockWeights(NamedTuple):
  """Cumulative weights, of blocks and inside them; made once, drawn from many times.

  float32 whatever the log-weights are. They rise only where a weight is positive.
  """

  rows: Float[Array, "K W"]  # inside each of K blocks of W rows, from their first one
  blocks: Float[Array, " K"]


def block_weights(log_weight: Float[Array, " R"]) -> BlockWeights:
  """Prepares rows for drawing in proportion to exp(log_weight).

  Args:
    log_weight: [R], -inf for rows that must never be drawn. The largest is subtracted
      first, so any finite range is safe; rows below the largest by more than 87 get
      weight 0 in float32.

  Returns:
    Blocks of about sqrt(R) rows. If every row is -inf all weights are 0, and what is
    then drawn is undefined.
  """
  num_rows = log_weight.shape[0]
  width = math.ceil(math.sqrt(num_rows))
  num_blocks = math.ceil(num_rows / width)
  log_weight = log_weight.astype(jnp.float32)
  top = jnp.max(log_weight)
  weights = jnp.exp(log_weight - jnp.where(jnp.isfinite(top), top, 0.0))
  weights = jnp.pad(weights, (0, num_blocks * width - num_rows))
  weights = weights.reshape(num_blocks, width)
  return BlockWeights(rows=_cumulative(weights), blocks=_cumulative(weights.sum(-1)))


def sample(blocks: BlockWeights, num: int, key: jax.Array) -> Int[Array, " B"]:
  """Draws `num` rows with replacement, each in proportion to its weight.

  Two independent uniforms per draw, one a level: a single one would have only 2^23
  steps, too coarse for millions of rows. A draw reads about log2(R) numbers and copies
  no block, so that memory is that of the draws.
  """
  k_block, k_row = jax.random.split(key)
  width = blocks.rows.shape[-1]
  block = _draw(blocks.blocks, len(blocks.blocks), jnp.zeros(num, jnp.int32), k_block)
  return _draw(blocks.rows.reshape(-1), width, block * width, k_row)


def effective_sample_size(log_weight: Float[Array, " R"]) -> Float[Array, ""]:
  """(sum w)^2 / (n sum w^2) over the n rows of finite log-weight: 1 = uniform.

  0 if no row has any weight.
  """
  log_weight = log_weight.astype(jnp.float32)
  finite = jnp.isfinite(log_weight)
  top = jnp.max(jnp.where(finite, log_weight, -jnp.inf))
  weight = jnp.where(finite, jnp.exp(log_weight - top), 0.0)
  n = jnp.maximum(finite.sum(), 1).astype(jnp.float32)
  # The heaviest row weighs 1, if there is one.
  return weight.sum() ** 2 / (n * jnp.maximum((weight**2).sum(), 1.0))


def share(log_weight: Float[Array, " R"], of: Bool[Array, " R"]) -> Float[Array, ""]:
  """How much of the weight some rows have, the share of draws that are theirs."""
  total = jax.nn.logsumexp(log_weight)
  return jnp.where(of, jnp.exp(log_weight - total), 0.0).sum()


def _cumulative(weight: jax.Array) -> jax.Array:
  """Sums along the last axis that never fall, and rise only where `weight` is positive.

  XLA sums in a tree, so that rounding can make a cumulative sum fall, or rise where the
  weight is 0.
  """
  sums = jnp.where(weight > 0, jnp.cumsum(weight, -1), 0.0)
  return jax.lax.cummax(sums, weight.ndim - 1)


def _draw(
  cumulative: jax.Array, width: int, first: jax.Array, key: jax.Array
) -> jax.Array:
  """For each entry of `first` one of the `width` indices from it on; int32.

  By bisection, in proportion to what `cumulative` rises by; never where it does not.
  """
  total = cumulative[first + width - 1]
  target = jax.random.uniform(key, first.shape, jnp.float32) * total
  low, size = first, width
  while size > 1:  # the index wanted is one of the `size` from `low` on
    half = size // 2
    below = cumulative[low + half - 1]
    # The first one above the target; rounding may put that at the total.
    found = (below > target) | (below >= total)
    low = jnp.where(found, low, low + half)
    size -= half
  return low
