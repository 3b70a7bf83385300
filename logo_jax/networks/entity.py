"""Networks that read entities: a graph of them, and a network for each head.

Entities exchange messages along all pairs. A pair's message knows where the two stand
to one another, and at whom either points, in action or as last observed. A sender's
messages are weighted by a softmax over receivers (it acts on one of them: who shoots at
whom) and by another over senders (a receiver attends to some).
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.layout import Layout
from logo_jax.networks.mlp import MLP
from logo_jax.networks.now import Now
from logo_jax.ops.ranks import lift

_HEADS = 4  # of each softmax
_CENTRES = np.log(np.geomspace(0.03, 3.0, 16))  # of distances, half widths of the box


class Graph(NamedTuple):
  """Features of entities `[*b, E, F]`, and of pairs from the first to the second."""

  nodes: jax.Array
  pairs: jax.Array  # [*b, E, E, G]
  present: jax.Array  # [*b, E]
  depth: jax.Array  # [*b, 2], of the whole


class Embedding(NamedTuple):
  """What the trunk makes of a graph."""

  nodes: jax.Array  # [*b, E, H]
  pairs: jax.Array  # [*b, E, E, H / 2]


class Features:
  """Builds graphs; parameter-free."""

  def __init__(self, layout: Layout, state: Codec, obs: Codec, discrete: bool):
    self._state, self._obs, self._discrete = state.structure, obs.structure, discrete
    entities = np.arange(layout.num_entities)
    points = np.array(layout.action_points)
    self.points = (points[..., None] == entities).astype(np.float32)  # [N, A, E]
    self.members = layout.owners
    # Of each pointing feature of observations, the entity of each value, [E, V, E].
    self.pointers = [
      (pointer, (pointer.points[..., None] == entities).astype(np.float32))
      for pointer in self._obs.pointers
    ]
    self.static = np.concatenate([np.eye(len(entities)), self._state.static], -1)

  def graph(self, now: Now) -> Graph:
    """Everything that is known of now."""
    seen = self._summary(now.obs)
    nodes = [*self.known(now), seen]
    pointing = [self._acts_on(now.action), *self._pointed(seen)]
    both = [x for p in pointing for x in (p, p.swapaxes(-1, -2))]
    pairs = jnp.concatenate([jnp.stack(both, -1), self.geometry(now.state)], -1)
    nodes = jnp.concatenate(nodes, -1)
    return Graph(nodes, pairs, now.state.present, depth_features(now.depth))

  def known(self, now: Now) -> list[jax.Array]:
    """State, action and identity of every entity; [*b, E, ...] each."""
    return [*self.of_state(now.state), self._actions(now.action)]

  def of_state(self, state: Tokens) -> list[jax.Array]:
    """The state of every entity and what it is."""
    static = jnp.broadcast_to(
      self.static, (*state.present.shape, self.static.shape[-1])
    )
    return [shown(state), static]

  def own(self, x: jax.Array) -> jax.Array:
    """Of [*b, N, E, D] what is of the agents' own entities, summed, [*b, N, D]."""
    return jnp.einsum("...ned,ne->...nd", x, self.members)

  def _actions(self, action: jax.Array) -> jax.Array:
    """Of each entity: what its agent does, and what drives it."""
    if self._discrete:
      return jnp.einsum("...na,ne->...ea", action, self.members)
    return jnp.einsum("...na,nae->...e", action, self.points)[..., None]

  def _acts_on(self, action: jax.Array) -> jax.Array:
    """At whom the agents' actions point, [*b, E, E]."""
    return jnp.einsum("...na,nak,ne->...ek", action, self.points, self.members)

  def _summary(self, obs: Tokens) -> jax.Array:
    """What those who see an entity see of it, averaged, and how many; [*b, E, D+1]."""
    weight = obs.present[..., None]
    weight = weight * lift(self._obs.has, weight.ndim)
    num = weight.sum(-3)
    mean = (obs.values * weight).sum(-3) / jnp.maximum(num, 1e-3)
    share = obs.present.mean(-2)[..., None]
    return jnp.concatenate([mean, share], -1)

  def _pointed(self, seen: jax.Array) -> list[jax.Array]:
    """At whom entities pointed as last seen, [*b, E, E] for each such feature."""
    out = []
    for pointer, at in self.pointers:
      values = seen[..., pointer.first : pointer.first + at.shape[1]]
      out.append(jnp.einsum("...ev,evk->...ek", values, at))
    return out

  def geometry(self, state: Tokens) -> jax.Array:
    """Where the second of a pair stands as seen from the first; and who is the same."""
    same = jnp.eye(state.present.shape[-1])[..., None]
    shape = (*state.present.shape, state.present.shape[-1])
    if not len(self._state.positions):
      return jnp.broadcast_to(same, (*shape, 1))
    x = state.values[..., self._state.positions]
    difference = x[..., None, :, :] - x[..., :, None, :]
    distance = jnp.sqrt((difference**2).sum(-1) + 1e-6)
    away = jnp.log(distance)[..., None]
    away = (away - lift(_CENTRES, away.ndim)) / (_CENTRES[1] - _CENTRES[0])
    same = jnp.broadcast_to(same, (*shape, 1))
    return jnp.concatenate([same, difference, jnp.exp(-0.5 * away**2)], -1)


def depth_features(depth: jax.Array) -> jax.Array:
  """[*b, 2]; zeros where nothing was predicted yet."""
  return jnp.stack([(depth > 0).astype(jnp.float32), jnp.log1p(depth) / 3.0], -1)


def shown(tokens: Tokens) -> jax.Array:
  """Tokens as network input: values as far as they are there, and how far that is."""
  present = tokens.present[..., None]
  return jnp.concatenate([tokens.values * present, present], -1)


class DepthDense(nn.Module):
  """A dense layer of entities `[*b, E, F]` that knows how deep in a rollout they are.

  Depth's weights have no bias and are zeros at first: what is trained on true
  observations alone is the same function at any depth.
  """

  features: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array, depth: jax.Array) -> jax.Array:
    zeros = nn.initializers.zeros
    shift = nn.Dense(self.features, False, self.dtype, kernel_init=zeros)(depth)
    return nn.Dense(self.features, dtype=self.dtype)(x) + shift[..., None, :]


class DepthMLP(nn.Module):
  """A perceptron of entities that knows how deep in a rollout they are."""

  hidden_size: int
  out_size: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array, depth: jax.Array) -> jax.Array:
    x = nn.relu(DepthDense(self.hidden_size, self.dtype)(x, depth))
    return MLP((self.hidden_size, self.out_size), self.dtype)(x)


class Trunk(nn.Module):
  """Rounds of messages between entities.

  Nodes have H features and pairs, of which there are far more, H / 2.
  """

  hidden_size: int
  rounds: int = 2
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, graph: Graph) -> Embedding:
    h = DepthMLP(self.hidden_size, self.hidden_size, self.dtype)(
      graph.nodes, graph.depth
    )
    pairs = graph.pairs
    for _ in range(self.rounds):
      pairs = self._messages(h, graph.pairs)
      heard = self._aggregate(pairs, graph.present)
      update = jnp.concatenate([nn.LayerNorm(dtype=self.dtype)(h), heard], -1)
      h = h + MLP((self.hidden_size, self.hidden_size), self.dtype)(update)
    return Embedding(h, pairs)

  def _messages(self, h: jax.Array, pairs: jax.Array) -> jax.Array:
    h = nn.LayerNorm(dtype=self.dtype)(h)

    def dense(x: jax.Array) -> jax.Array:
      return nn.Dense(self.hidden_size // 2, dtype=self.dtype)(x)

    sender, receiver = dense(h)[..., :, None, :], dense(h)[..., None, :, :]
    message = nn.relu(sender + receiver + dense(pairs))
    return nn.relu(dense(message))

  def _aggregate(self, pairs: jax.Array, present: jax.Array) -> jax.Array:
    logits = nn.Dense(2 * _HEADS, dtype=self.dtype)(pairs).astype("float32")
    there = jnp.log(jnp.maximum(present, 1e-6))
    acts, attends = jnp.split(logits, 2, -1)
    acts = jax.nn.softmax(acts + there[..., None, :, None], -2)  # over receivers
    acts = acts * present[..., :, None, None]
    attends = jax.nn.softmax(attends + there[..., :, None, None], -3)  # over senders
    split = pairs.reshape(*pairs.shape[:-1], _HEADS, -1)
    heard = [jnp.einsum("...ijk,...ijkd->...jkd", w, split) for w in (acts, attends)]
    return jnp.concatenate([x.reshape(*x.shape[:-2], -1) for x in heard], -1)


class PairHead(nn.Module):
  """A network of pairs of N rows and E columns.

  Features of rows [*b, N, ...], of columns [*b, E, ...] and of pairs [*b, N, E, ...] to
  [*b, N, E, `out_size`].
  """

  hidden_size: int
  out_size: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, rows: jax.Array, columns: jax.Array, pairs: jax.Array):
    def dense(x: jax.Array) -> jax.Array:
      return nn.Dense(self.hidden_size, dtype=self.dtype)(x)

    x = dense(rows)[..., :, None, :] + dense(columns)[..., None, :, :] + dense(pairs)
    return MLP((self.hidden_size, self.out_size), self.dtype)(nn.relu(x))


class SumHead(nn.Module):
  """A function of a set of entities `[*b, E, F]` at some depth: one number `[*b]`.

  The sum of what each of them gives, and a function of the sum of their features.
  """

  hidden_size: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array, depth: jax.Array) -> jax.Array:
    x = nn.relu(DepthDense(self.hidden_size, self.dtype)(x, depth))
    x = nn.relu(nn.Dense(self.hidden_size, dtype=self.dtype)(x))
    each = nn.Dense(1, dtype=self.dtype)(x)[..., 0].sum(-1)
    joint = MLP((self.hidden_size, 1), self.dtype)(x.sum(-2))[..., 0]
    return (each + joint).astype("float32")
