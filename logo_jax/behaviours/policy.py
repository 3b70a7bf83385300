"""The network of the behaviour policies: one perceptron that all agents share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax import types

Layers = list[tuple[jax.Array, jax.Array]]


class PolicyParams(NamedTuple):
  """Weights `[in, out]` and biases `[out]`, from the first layer to the last."""

  layers: Layers


def init_layers(sizes: tuple[int, ...], last_scale: float, key: jax.Array) -> Layers:
  """Orthogonal weights (scale sqrt(2), the last layer `last_scale`), biases 0."""
  layers = []
  for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
    scale = last_scale if i == len(sizes) - 2 else 2.0**0.5
    weight = jax.nn.initializers.orthogonal(scale)(
      jax.random.fold_in(key, i), (fan_in, fan_out), jnp.float32
    )
    layers.append((weight, jnp.zeros((fan_out,), jnp.float32)))
  return layers


def apply_layers(layers: Layers, x: jax.Array) -> jax.Array:
  """A tanh perceptron on the last axis."""
  for weight, bias in layers[:-1]:
    x = jnp.tanh(x @ weight + bias)
  weight, bias = layers[-1]
  return x @ weight + bias


def init(spec: types.EnvSpec, hidden: tuple[int, ...], key: jax.Array) -> PolicyParams:
  """A policy that starts close to uniform over legal actions."""
  sizes = (spec.obs_dim + spec.num_agents, *hidden, spec.action_dim)
  return PolicyParams(init_layers(sizes, 0.01, key))


def logits(params: PolicyParams, obs: jax.Array, legal: jax.Array) -> jax.Array:
  """Masked logits.

  Args:
    params: the shared network.
    obs: `[*b, N, O]`; each agent's number is appended as a one-hot vector.
    legal: `[*b, N, A]`, no row empty.

  Returns:
    `[*b, N, A]`, log-probabilities up to a constant; -1e9 where illegal.
  """
  ids = jnp.broadcast_to(jnp.eye(obs.shape[-2]), (*obs.shape[:-1], obs.shape[-2]))
  scores = apply_layers(params.layers, jnp.concatenate([obs, ids], axis=-1))
  return jnp.where(legal, scores, -1e9)


def sample(
  scores: jax.Array, legal: jax.Array, epsilon: jax.Array | float, key: jax.Array
) -> jax.Array:
  """Samples an action per agent, epsilon-greedily.

  Args:
    scores: `[*b, N, A]`, masked logits.
    legal: `[*b, N, A]`.
    epsilon: probability of a uniform draw over legal actions instead, each agent alone.
    key: random key.

  Returns:
    int32 `[*b, N]`.
  """
  k_policy, k_uniform, k_which = jax.random.split(key, 3)
  action = jax.random.categorical(k_policy, scores)
  uniform = jax.random.categorical(k_uniform, jnp.where(legal, 0.0, -1e9))
  explore = jax.random.uniform(k_which, action.shape) < epsilon
  return jnp.where(explore, uniform, action).astype(jnp.int32)
