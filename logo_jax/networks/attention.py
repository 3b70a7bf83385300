"""Attention among agents."""

from typing import Any

import flax.linen as nn
import jax


def attention_layers(
  x: jax.Array, num_layers: int, num_heads: int, dtype: Any
) -> jax.Array:
  """Transformer layers over the agents of [*b, N, H], normalised after each part.

  To be called in a compact module, whose submodules they become (Vaswani et al., 2017,
  with inner layers as wide as the outer ones and without dropout).
  """
  size = x.shape[-1]
  for _ in range(num_layers):
    heard = nn.MultiHeadDotProductAttention(num_heads, dtype=dtype)(x)
    x = nn.LayerNorm(dtype=dtype)(x + heard)
    y = nn.relu(nn.Dense(size, dtype=dtype)(x))
    y = nn.Dense(size, dtype=dtype)(y)
    x = nn.LayerNorm(dtype=dtype)(x + y)
  return x
