"""Plain tanh perceptrons: weights `[in, out]` and biases `[out]`, first layer first."""

import jax
import jax.numpy as jnp

Layers = list[tuple[jax.Array, jax.Array]]


def init(sizes: tuple[int, ...], last_scale: float, key: jax.Array) -> Layers:
  """Orthogonal weights (scale sqrt(2), the last layer `last_scale`), biases 0."""
  layers = []
  for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
    scale = last_scale if i == len(sizes) - 2 else 2.0**0.5
    weight = jax.nn.initializers.orthogonal(scale)(
      jax.random.fold_in(key, i), (fan_in, fan_out), jnp.float32
    )
    layers.append((weight, jnp.zeros((fan_out,), jnp.float32)))
  return layers


def apply(layers: Layers, x: jax.Array) -> jax.Array:
  """A tanh perceptron on the last axis."""
  for weight, bias in layers[:-1]:
    x = jnp.tanh(x @ weight + bias)
  weight, bias = layers[-1]
  return x @ weight + bias
