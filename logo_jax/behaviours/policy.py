"""The network of the behaviour policies: one perceptron that all agents share."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax import types
from logo_jax.ops.gaussian import negative_log_likelihood

Layers = list[tuple[jax.Array, jax.Array]]
_MIN_STD = 1e-2  # of a continuous action before it is squashed


class PolicyParams(NamedTuple):
  """Weights `[in, out]` and biases `[out]`, from the first layer to the last."""

  layers: Layers


class Head(NamedTuple):
  """How the network's outputs become actions; one for each kind of action.

  A raw action is what the density is of: a discrete action itself, or a continuous one
  before tanh squashes it into (-1, 1). Ratios of two densities are the same either way.
  """

  outputs_per_action: int
  # (outputs, legal, key) -> raw action
  sample: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
  # (outputs, legal, key) -> action, uniform over what is allowed
  explore: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
  squash: Callable[[jax.Array], jax.Array]  # raw action -> action
  # (outputs, legal, raw) -> [*b, N], up to a constant
  log_prob: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
  # (outputs, legal) -> [*b, N], of the raw action
  entropy: Callable[[jax.Array, jax.Array], jax.Array]


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
  """A policy close to uniform over legal actions, or to a normal around 0."""
  first, last = sizes(spec)
  return PolicyParams(init_layers((first, *hidden, last), 0.01, key))


def sizes(spec: types.EnvSpec) -> tuple[int, int]:
  """The numbers of inputs and outputs of a policy."""
  num_outputs = spec.action_dim * head(spec.action_kind).outputs_per_action
  return spec.obs_dim + spec.num_agents, num_outputs


def outputs(params: PolicyParams, obs: jax.Array) -> jax.Array:
  """What the network says; a `Head` reads it.

  Args:
    params: the shared network.
    obs: `[*b, N, O]`; each agent's number is appended as a one-hot vector.

  Returns:
    `[*b, N, F]`: logits, or means and then the inverse softplus of the deviations.
  """
  ids = jnp.broadcast_to(jnp.eye(obs.shape[-2]), (*obs.shape[:-1], obs.shape[-2]))
  return apply_layers(params.layers, jnp.concatenate([obs, ids], axis=-1))


def fold_scaling(params: PolicyParams, mean: jax.Array, std: jax.Array) -> PolicyParams:
  """The policy of raw observations that equals `params` of standardised ones.

  Args:
    params: a network trained on `(obs - mean) / std`.
    mean: `[O]`.
    std: `[O]`, positive.
  """
  (weight, bias), *rest = params.layers
  num = mean.shape[0]
  scaled = weight[:num] / std[:, None]
  weight = jnp.concatenate([scaled, weight[num:]])
  return PolicyParams([(weight, bias - mean @ scaled), *rest])


def act(
  params: PolicyParams,
  timestep: types.TimeStep,
  kind: str,
  epsilon: jax.Array | float,
  key: jax.Array,
) -> jax.Array:
  """Samples an action per agent, epsilon-greedily.

  Args:
    params: the shared network.
    timestep: with any leading axes.
    kind: the environment's `action_kind`.
    epsilon: probability of a uniform draw over what is allowed instead, each agent
      alone.
    key: random key.

  Returns:
    int32 `[*b, N]` or float32 `[*b, N, A]` in [-1, 1].
  """
  return choose(outputs(params, timestep.obs), timestep.legal, kind, epsilon, key)


def choose(
  scores: jax.Array,
  legal: jax.Array,
  kind: str,
  epsilon: jax.Array | float,
  key: jax.Array,
) -> jax.Array:
  """Like `act`, from the network's outputs `[*b, N, F]`."""
  k_policy, k_uniform, k_which = jax.random.split(key, 3)
  how = head(kind)
  action = how.squash(how.sample(scores, legal, k_policy))
  uniform = how.explore(scores, legal, k_uniform)
  explore = jax.random.uniform(k_which, scores.shape[:-1]) < epsilon
  explore = explore.reshape(explore.shape + (1,) * (action.ndim - explore.ndim))
  return jnp.where(explore, uniform, action)


def head(kind: str) -> Head:
  """The head for an environment's `action_kind`."""
  return {"discrete": _CATEGORICAL, "continuous": _NORMAL}[kind]


def _masked(scores: jax.Array, legal: jax.Array) -> jax.Array:
  return jax.nn.log_softmax(jnp.where(legal, scores, -1e9))


def _sample_categorical(scores, legal, key) -> jax.Array:
  return jax.random.categorical(key, _masked(scores, legal)).astype(jnp.int32)


def _categorical_log_prob(scores, legal, raw) -> jax.Array:
  chosen = jnp.take_along_axis(_masked(scores, legal), raw[..., None], axis=-1)
  return chosen[..., 0]


def _categorical_entropy(scores, legal) -> jax.Array:
  log_probs = _masked(scores, legal)
  return -(jnp.exp(log_probs) * log_probs).sum(-1)


def _normal(scores: jax.Array) -> tuple[jax.Array, jax.Array]:
  mean, spread = jnp.split(scores, 2, axis=-1)
  return mean, jax.nn.softplus(spread) + _MIN_STD


def _sample_normal(scores, legal, key) -> jax.Array:
  del legal
  mean, std = _normal(scores)
  return mean + std * jax.random.normal(key, mean.shape)


def _uniform_box(scores, legal, key) -> jax.Array:
  del legal
  mean, _ = _normal(scores)
  return jax.random.uniform(key, mean.shape, minval=-1.0)


def _normal_log_prob(scores, legal, raw) -> jax.Array:
  del legal
  mean, std = _normal(scores)
  return -negative_log_likelihood(raw, mean, 2 * jnp.log(std)).sum(-1)


def _normal_entropy(scores, legal) -> jax.Array:
  del legal
  _, std = _normal(scores)
  return (0.5 * jnp.log(2 * jnp.pi * jnp.e) + jnp.log(std)).sum(-1)


_CATEGORICAL = Head(
  outputs_per_action=1,
  sample=_sample_categorical,
  explore=lambda scores, legal, key: _sample_categorical(
    jnp.zeros_like(scores), legal, key
  ),
  squash=lambda raw: raw,
  log_prob=_categorical_log_prob,
  entropy=_categorical_entropy,
)
_NORMAL = Head(
  outputs_per_action=2,
  sample=_sample_normal,
  explore=_uniform_box,
  squash=jnp.tanh,
  log_prob=_normal_log_prob,
  entropy=_normal_entropy,
)
