"""The multilayer perceptron that everything is built from."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax

from logo_jax.types import Params


class MLP(nn.Module):
  """Dense layers with a nonlinearity between them and a linear last layer.

  Parameters and the output are float32, `dtype` is that of the computation.
  """

  features: Sequence[int]
  dtype: Any = "float32"
  activation: Callable[[jax.Array], jax.Array] = nn.relu

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for size in self.features[:-1]:
      x = self.activation(nn.Dense(size, dtype=self.dtype)(x))
    return nn.Dense(self.features[-1], dtype=self.dtype)(x).astype("float32")


def apply(module: nn.Module, params: Params, *inputs: Any) -> Any:
  """`module.apply` without mutable collections, of which we have none."""
  return module.apply(params, *inputs)
