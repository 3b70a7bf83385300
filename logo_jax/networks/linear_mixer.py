"""The hyper-network of the linear mixer (OMIGA, Wang et al., NeurIPS 2023)."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP
from logo_jax.ops.mixing import linear_mix


class LinearWeights(NamedTuple):
  """What makes a joint value of local ones, at a state."""

  weight: jax.Array  # >= 0, [*b, N]
  bias: jax.Array  # [*b]

  def mix(self, local: jax.Array) -> jax.Array:
    """Joint values [*b] of local values [*b, N]: of actions, or of states."""
    over_leading = jnp.vectorize(linear_mix, signature="(n),(n),()->()")
    return over_leading(local, self.weight, self.bias)


class LinearMixer(nn.Module):
  """Maps a state [*b, S] to the weights and the bias that mix N local values there.

  One hidden layer for both, as published; its input is the global state instead of the
  agents' own states in a row. Weights are made non-negative by their absolute value.
  """

  num_agents: int
  hidden_size: int = 64
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, state: jax.Array) -> LinearWeights:
    out = MLP([self.hidden_size, self.num_agents + 1], self.dtype)(state)
    return LinearWeights(weight=jnp.abs(out[..., :-1]), bias=out[..., -1])
