"""Hyper-networks of the monotonic mixer (QMIX, Rashid et al., 2018)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP
from logo_jax.ops.mixing import MixerWeights


class HyperMixer(nn.Module):
  """Maps a state [*b, S] to the weights that mix N utilities there.

  Shapes follow the published QMIX: one hidden layer of `hidden_size` for the weights,
  a linear bias of the first layer and a two-layer bias of the second; weights are made
  non-negative by their absolute value.
  """

  num_agents: int
  embed_size: int = 32
  hidden_size: int = 64
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, state: jax.Array) -> MixerWeights:
    n, e, h = self.num_agents, self.embed_size, self.hidden_size
    w1 = MLP([h, n * e], self.dtype, name="w1")(state)
    w2 = MLP([h, e], self.dtype, name="w2")(state)
    b1 = MLP([e], self.dtype, name="b1")(state)
    b2 = MLP([e, 1], self.dtype, name="b2")(state)
    return MixerWeights(
      w1=jnp.abs(w1).reshape(*state.shape[:-1], n, e),
      b1=b1,
      w2=jnp.abs(w2),
      b2=b2[..., 0],
    )
