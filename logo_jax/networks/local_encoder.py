"""The predictive encoder of one agent."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP


class LocalEncoder(nn.Module):
  """Encodes the state (h_s) and the local features (h_o) apart, then joins them.

  Input [*b, S + L]: the state, then the agent's features. Output [*b, `out_size`].
  """

  state_dim: int
  hidden_size: int
  out_size: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    state, local = x[..., : self.state_dim], x[..., self.state_dim :]
    h_s = nn.relu(nn.Dense(self.hidden_size, dtype=self.dtype, name="h_s")(state))
    h_o = nn.relu(nn.Dense(self.hidden_size, dtype=self.dtype, name="h_o")(local))
    features = (self.hidden_size, self.hidden_size, self.out_size)
    return MLP(features, self.dtype, name="joined")(jnp.concatenate([h_s, h_o], -1))
