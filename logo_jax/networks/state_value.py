"""A bounded value of the global state and the time that is left."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP
from logo_jax.ops.standardise import Moments, clipped
from logo_jax.types import Params


class StateValue(NamedTuple):
  """A perceptron on the standardised state and the share of the episode that is over.

  Values lie between the least and the largest return that there can be: one that has
  no bounds runs away where rollouts leave what it was fitted to.
  """

  moments: Moments
  bounds: tuple[float, float]
  max_steps: int
  hidden_size: int
  dtype: Any = "float32"

  @property
  def _net(self) -> MLP:
    return MLP((self.hidden_size, self.hidden_size, 1), self.dtype)

  def init(self, key: jax.Array) -> Params:
    return self._net.init(key, jnp.zeros(self.moments.mean.shape[0] + 1))

  def apply(self, params: Params, state: jax.Array, time: jax.Array) -> jax.Array:
    """Values [*b] in the environment's units, of states [*b, S] and steps [*b]."""
    low, high = self.bounds
    return low + (high - low) * self.share(params, state, time)

  def share(self, params: Params, state: jax.Array, time: jax.Array) -> jax.Array:
    """Where a value lies between its bounds, [*b] in (0, 1)."""
    z = clipped(state, self.moments)
    over = 3.0 * time[..., None].astype(z.dtype) / self.max_steps
    x = self._net.apply(params, jnp.concatenate([z, over], -1))
    return jax.nn.sigmoid(jnp.asarray(x)[..., 0].astype("float32"))
