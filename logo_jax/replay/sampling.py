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
  """Weights in blocks with their sums; computed once, drawn from many times."""

  weights: Float[Array, "K W"]  # K blocks of W rows, zeros where padded
  sums: Float[Array, " K"]


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
  top = jnp.max(log_weight)
  weights = jnp.exp(log_weight - jnp.where(jnp.isfinite(top), top, 0.0))
  weights = jnp.pad(weights, (0, num_blocks * width - num_rows))
  weights = weights.reshape(num_blocks, width)
  return BlockWeights(weights=weights, sums=weights.sum(-1))


def sample(blocks: BlockWeights, num: int, key: jax.Array) -> Int[Array, " B"]:
  """Draws `num` rows with replacement, each in proportion to its weight.

  Two independent uniforms per draw, one a level: a single one would have only 2^23
  steps, too coarse for millions of rows.
  """
  k_block, k_row = jax.random.split(key)
  block = _draw(blocks.sums, jax.random.uniform(k_block, (num,)))
  inside = blocks.weights[block]
  row = jax.vmap(_draw)(inside, jax.random.uniform(k_row, (num,)))
  return (block * blocks.weights.shape[-1] + row).astype(jnp.int32)


def effective_sample_size(log_weight: Float[Array, " R"]) -> Float[Array, ""]:
  """(sum w)^2 / (n sum w^2) over the n rows of finite log-weight: 1 = uniform."""
  finite = jnp.isfinite(log_weight)
  top = jnp.max(jnp.where(finite, log_weight, -jnp.inf))
  weight = jnp.where(finite, jnp.exp(log_weight - top), 0.0)
  n = jnp.maximum(finite.sum(), 1)
  return weight.sum() ** 2 / (n * (weight**2).sum())


def share(log_weight: Float[Array, " R"], of: Bool[Array, " R"]) -> Float[Array, ""]:
  """How much of the weight some rows have, the share of draws that are theirs."""
  total = jax.nn.logsumexp(log_weight)
  return jnp.where(of, jnp.exp(log_weight - total), 0.0).sum()


def _draw(weight: jax.Array, uniform: jax.Array) -> jax.Array:
  """Indices of [W] weights for uniforms of any shape; never one of weight 0.

  XLA sums in a tree, so that rounding can make a cumulative sum fall, or rise where the
  weight is 0: it is made monotone first, and a row of weight 0 gives way to the last
  row of positive weight before it.
  """
  cumulative = jax.lax.cummax(jnp.cumsum(weight))
  index = jnp.searchsorted(cumulative, uniform * cumulative[-1], side="right")
  positive = weight > 0
  last = jax.lax.cummax(jnp.where(positive, jnp.arange(weight.shape[0]), -1))
  index = last[jnp.minimum(index, weight.shape[0] - 1)]
  return jnp.where(index < 0, jnp.argmax(positive), index)
