"""The behaviour policies: one network that all agents share, and how it is played."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax import types
from logo_jax.behaviours import entity_policy
from logo_jax.behaviours import layers as nets
from logo_jax.behaviours.entity_policy import EntityParams
from logo_jax.ops.gaussian import negative_log_likelihood

_TEST_EPSILON = 0.05  # of discrete actions; the evaluations of PyMARL and OG-MARL
_MIN_STD = 1e-2  # of a continuous action before it is squashed


class FlatParams(NamedTuple):
  """A perceptron on the whole observation, from the first layer to the last."""

  layers: nets.Layers


PolicyParams = FlatParams | EntityParams


class Mode(NamedTuple):
  """How a policy plays."""

  greedy: Any  # bool: the likeliest action, else a draw from the policy
  epsilon: Any  # probability of a uniform draw over what an agent is allowed instead


SAMPLED = Mode(greedy=False, epsilon=0.0)  # as in training
UNIFORM = Mode(greedy=False, epsilon=1.0)  # random play


def test_mode(kind: str) -> Mode:
  """How policies play when they are judged, and when medium and expert data are made.

  Discrete ones greedily, but for a few random actions; continuous ones with the noise
  of their training, which OMIGA's published files of robots keep.

  Args:
    kind: the environment's `action_kind`.
  """
  return Mode(True, _TEST_EPSILON) if kind == "discrete" else SAMPLED


class Head(NamedTuple):
  """How the network's outputs become actions; one for each kind of action.

  A raw action is what the density is of: a discrete action itself, or a continuous one
  before tanh squashes it into (-1, 1). Ratios of two densities are the same either way.
  """

  outputs_per_action: int
  mode: Callable[[jax.Array, jax.Array], jax.Array]  # (outputs, legal) -> likeliest raw
  # (outputs, legal, key) -> raw action
  sample: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
  # (outputs, legal, key) -> action, uniform over what is allowed
  explore: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
  squash: Callable[[jax.Array], jax.Array]  # raw action -> action
  # (outputs, legal, raw) -> [*b, N], up to a constant
  log_prob: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
  # (outputs, legal) -> [*b, N], of the raw action
  entropy: Callable[[jax.Array, jax.Array], jax.Array]


def init(
  spec: types.EnvSpec, hidden: tuple[int, ...], key: jax.Array, entities: bool = False
) -> PolicyParams:
  """A policy close to uniform over legal actions, or to a normal around 0.

  Args:
    spec: of the environment.
    hidden: units of the hidden layers.
    key: random key.
    entities: a network that reads units; see `entity_policy`.
  """
  if entities:
    return entity_policy.init(spec, hidden, key)
  num_outputs = spec.action_dim * head(spec.action_kind).outputs_per_action
  sizes = (spec.obs_dim + spec.num_agents, *hidden, num_outputs)
  return FlatParams(nets.init(sizes, 0.01, key))


def outputs(params: PolicyParams, obs: jax.Array, spec: types.EnvSpec) -> jax.Array:
  """What the network says; a `Head` reads it.

  Args:
    params: the shared network.
    obs: `[*b, N, O]`; each agent's number is appended as a one-hot vector.
    spec: of the environment; its layout is what a network of units reads by.

  Returns:
    `[*b, N, F]`: logits, or means and then the inverse softplus of the deviations.
  """
  if isinstance(params, EntityParams):
    return entity_policy.outputs(params, obs, spec)
  ids = jnp.broadcast_to(jnp.eye(obs.shape[-2]), (*obs.shape[:-1], obs.shape[-2]))
  return nets.apply(params.layers, jnp.concatenate([obs, ids], axis=-1))


def fold_scaling(params: FlatParams, mean: jax.Array, std: jax.Array) -> FlatParams:
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
  return FlatParams([(weight, bias - mean @ scaled), *rest])


def act(
  params: PolicyParams,
  timestep: types.TimeStep,
  spec: types.EnvSpec,
  mode: Mode,
  key: jax.Array,
) -> jax.Array:
  """Chooses an action per agent.

  Args:
    params: the shared network.
    timestep: with any leading axes.
    spec: of the environment.
    mode: how to play; each agent draws its random actions alone.
    key: random key.

  Returns:
    int32 `[*b, N]` or float32 `[*b, N, A]` in [-1, 1].
  """
  scores = outputs(params, timestep.obs, spec)
  return choose(scores, timestep.legal, spec.action_kind, mode, key)


def choose(
  scores: jax.Array,
  legal: jax.Array,
  kind: str,
  mode: Mode,
  key: jax.Array,
) -> jax.Array:
  """Like `act`, from the network's outputs `[*b, N, F]`."""
  k_policy, k_uniform, k_which = jax.random.split(key, 3)
  how = head(kind)
  drawn = how.sample(scores, legal, k_policy)
  action = how.squash(jnp.where(mode.greedy, how.mode(scores, legal), drawn))
  uniform = how.explore(scores, legal, k_uniform)
  explore = jax.random.uniform(k_which, scores.shape[:-1]) < mode.epsilon
  explore = explore.reshape(explore.shape + (1,) * (action.ndim - explore.ndim))
  return jnp.where(explore, uniform, action)


def head(kind: str) -> Head:
  """The head for an environment's `action_kind`."""
  return {"discrete": _CATEGORICAL, "continuous": _NORMAL}[kind]


def _masked(scores: jax.Array, legal: jax.Array) -> jax.Array:
  return jax.nn.log_softmax(jnp.where(legal, scores, -1e9))


def _sample_categorical(scores, legal, key) -> jax.Array:
  return jax.random.categorical(key, _masked(scores, legal)).astype(jnp.int32)


def _likeliest(scores, legal) -> jax.Array:
  return jnp.argmax(_masked(scores, legal), -1).astype(jnp.int32)


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
  mode=_likeliest,
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
  mode=lambda scores, legal: _normal(scores)[0],
  sample=_sample_normal,
  explore=_uniform_box,
  squash=jnp.tanh,
  log_prob=_normal_log_prob,
  entropy=_normal_entropy,
)
