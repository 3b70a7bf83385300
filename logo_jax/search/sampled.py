"""Searching among sampled joint actions in a model, of one root; callers map.

The model and the policies come in as functions, so that nothing here knows a network.
Joint actions are too many to be enumerated: each node has K of them, drawn from its
policies (Hubert et al., "Learning and planning in complex action spaces", ICML 2021).
Joint actions that were drawn twice are one, whose share of the draws is larger.

* `one_step` looks one step behind each (Liu et al., "ROSMO", 2022).
* `tree` is the search of MAZero (Liu et al., ICLR 2024): simulations descend to a joint
  action that has not been tried, and what is found there enters the OS(lambda) values
  of the nodes above. Here no simulation goes deeper than `max_depth` steps; one that
  finds all taken down to there counts as a visit and adds nothing.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from logo_jax.ops.os_lambda import os_lambda

# Of the exploration term, as in MuZero.
_BASE, _INIT = 19652.0, 1.25
_TIE = 1e-6  # scores that differ by less are equal
_LEAST_RANGE = 0.01  # of advantages, over which they are normalised


@dataclasses.dataclass(frozen=True)
class TreeConfig:
  """How far a tree is searched, and what its nodes are worth."""

  num_simulations: int = 50  # S, at least the number of sampled joint actions
  max_depth: int = 10  # steps below the root
  rho: float = 0.75  # share of returns at each depth that values leave out
  decay: float = 0.8  # lambda, of how much a step further down counts


class Foreseen(NamedTuple):
  """A node: where a step leads, in the model."""

  latent: Any
  reward: Float[Array, ""]  # of the step that leads here; of a root nothing
  discount: Float[Array, ""]  # gamma, times the probability that it goes on from here
  value: Float[Array, ""]  # the network's
  outputs: Float[Array, "N G"]  # of the policies
  legal: Bool[Array, "N A"]


class Searched(NamedTuple):
  """What is known of the joint actions of a root, after the search."""

  action: Array  # [K, N] or [K, N, A]
  share: Float[Array, " K"]  # of visits, or of draws; 0 for repeated ones; sums to 1
  q: Float[Array, " K"]  # reward and discounted value of where it leads
  value: Float[Array, ""]  # of the root, after the search
  preference: Float[Array, " K"]  # largest where it is best to go; -inf: nowhere


# (latent, joint action) -> Foreseen
Model = Callable[[Any, jax.Array], Foreseen]
# (node, key) -> K joint actions
Propose = Callable[[Foreseen, jax.Array], jax.Array]


class Tree(NamedTuple):
  """Nodes in the order in which they were found, of which the root is the first."""

  node: Foreseen  # [M, ...]
  action: Array  # [M, K, N] or [M, K, N, A]
  share: Float[Array, "M K"]  # of draws; 0: the same as an earlier one
  child: Int[Array, "M K"]  # -1: none
  visits: Int[Array, "M K"]
  parent: Int[Array, " M"]  # -1: none
  depth: Int[Array, " M"]  # -1: no node yet
  value: Float[Array, " M"]  # OS(lambda)
  returns: Float[Array, "M M"]  # of the second node, as seen from the first
  below: Bool[Array, "M M"]  # whether the second node is the first or below it


def one_step(root: Foreseen, action: jax.Array, model: Model) -> Searched:
  """One step of the model for each joint action.

  Args:
    root: where the actions are taken.
    action: [K, N] or [K, N, A], drawn from policies.
    model: one step.
  """
  share = shares(action)
  after = jax.vmap(model, (None, 0))(root.latent, action)
  q = after.reward + after.discount * after.value
  preference = jnp.where(share > 0, q, -jnp.inf)
  return Searched(action, share, q, (share * q).sum(), preference)


def tree(  # noqa: PLR0913  the problem's parts
  root: Foreseen,
  action: jax.Array,
  model: Model,
  propose: Propose,
  config: TreeConfig,
  key: jax.Array,
) -> Searched:
  """MAZero's search.

  Args:
    root: where the search starts.
    action: [K, N] or [K, N, A], joint actions of the root.
    model: one step.
    propose: draws joint actions of other nodes, K as well.
    config: of the search.
    key: randomness.
  """
  grown = grow(root, action, model, propose, config, key)
  share = grown.visits[0] / grown.visits[0].sum()
  child = grown.child[0]
  q = jnp.where(child >= 0, (grown.node.reward + _onward(grown))[child], 0.0)
  preference = jnp.where(share > 0, share, -jnp.inf)
  return Searched(action, share, q, grown.value[0], preference)


def grow(  # noqa: PLR0913  as `tree`
  root: Foreseen,
  action: jax.Array,
  model: Model,
  propose: Propose,
  config: TreeConfig,
  key: jax.Array,
) -> Tree:
  """The whole tree that `tree` reads its result from."""

  def simulate(count: jax.Array, now: Tree) -> Tree:
    k_descend, k_propose = jax.random.split(jax.random.fold_in(key, count))
    node, slot, went, found = _descend(now, config.max_depth, k_descend)
    now = now._replace(
      visits=now.visits.at[node, slot].add(went.astype(now.visits.dtype))
    )
    last = went.sum() - 1
    parent, at = node[last], slot[last]
    latent = jax.tree.map(lambda x: x[parent], now.node.latent)
    foreseen = model(latent, now.action[parent, at])
    proposed = propose(foreseen, k_propose)
    return add(now, count, foreseen, proposed, (parent, at), found, config)

  first = empty(root, action, config.num_simulations + 1)
  return jax.lax.fori_loop(1, config.num_simulations + 1, simulate, first)


def shares(action: jax.Array) -> jax.Array:
  """The share [K] of each joint action in K draws, all of it at the first of equals."""
  flat = action.reshape(action.shape[0], -1)
  equal = (flat[:, None] == flat[None]).all(-1)
  first = jnp.argmax(equal, -1) == jnp.arange(len(flat))
  return first * equal.mean(-1)


def empty(root: Foreseen, action: jax.Array, size: int) -> Tree:
  """A tree of the root alone, with room for `size` nodes."""
  k = action.shape[0]

  def room(x: jax.Array) -> jax.Array:
    return jnp.zeros((size, *x.shape), x.dtype).at[0].set(x)

  return Tree(
    node=jax.tree.map(room, root),
    action=room(action),
    share=room(shares(action)),
    child=jnp.full((size, k), -1, jnp.int32),
    visits=jnp.zeros((size, k), jnp.int32),
    parent=jnp.full(size, -1, jnp.int32),
    depth=jnp.full(size, -1, jnp.int32).at[0].set(0),
    value=room(root.value),
    returns=jnp.zeros((size, size)).at[0, 0].set(root.value),
    below=jnp.zeros((size, size), bool).at[0, 0].set(True),
  )


def add(  # noqa: PLR0913  a node and its place
  now: Tree,
  index: jax.Array,
  foreseen: Foreseen,
  proposed: jax.Array,
  place: tuple[jax.Array, jax.Array],
  found: jax.Array,
  config: TreeConfig,
) -> Tree:
  """Adds a node and tells all above it.

  Args:
    now: the tree.
    index: of the node.
    foreseen: the node.
    proposed: its joint actions.
    place: the node above and which of its joint actions leads here.
    found: bool, False: nothing is added.
    config: of the search.
  """
  parent, slot = place
  # What lies outside is dropped.
  index = jnp.where(found, index, now.parent.shape[0])

  def put(table: jax.Array, x: jax.Array) -> jax.Array:
    return table.at[index].set(x, mode="drop")

  where = jnp.where(found, parent, now.parent.shape[0])
  now = now._replace(
    node=jax.tree.map(put, now.node, foreseen),
    action=put(now.action, proposed),
    share=put(now.share, shares(proposed)),
    child=now.child.at[where, slot].set(index, mode="drop"),
    parent=put(now.parent, parent),
    depth=put(now.depth, now.depth[parent] + 1),
  )
  return _back_up(now, index, config)


def _back_up(now: Tree, index: jax.Array, config: TreeConfig) -> Tree:
  """Values of a new node and of all above it."""
  size = now.parent.shape[0]

  def up(carry: tuple, _) -> tuple:
    node, seen = carry
    inside = (node >= 0) & (node < size)
    at = jnp.where(inside, node, 0)
    step = now.node.reward[at] + now.node.discount[at] * seen
    above = jnp.where(inside, now.parent[at], -1)
    return (above, step), (jnp.where(inside, at, size), seen)

  leaf = jnp.where(index < size, index, 0)
  start = (index.astype(jnp.int32), now.node.value[leaf])
  _, (path, seen) = jax.lax.scan(up, start, None, length=config.max_depth + 1)
  returns = now.returns.at[path, index].set(seen, mode="drop")
  below = now.below.at[path, index].set(True, mode="drop")

  def value(node: jax.Array) -> jax.Array:
    at = jnp.minimum(node, size - 1)
    relative = jnp.maximum(now.depth - now.depth[at], 0)
    return os_lambda(returns[at], relative, below[at], config.rho, config.decay)

  values = now.value.at[path].set(jax.vmap(value)(path), mode="drop")
  return now._replace(returns=returns, below=below, value=values)


def _descend(
  now: Tree, max_depth: int, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
  """From the root down to a joint action that has not been tried.

  Returns:
    Nodes, which of their joint actions was taken and whether the descent came so far,
    each [max_depth]; and whether what it ended with is new.
  """

  def down(carry: tuple, count: jax.Array) -> tuple:
    node, going = carry
    slot = _choose(now, node, jax.random.fold_in(key, count))
    after = now.child[node, slot]
    return (jnp.maximum(after, 0), going & (after >= 0)), (node, slot, going)

  start = (jnp.int32(0), jnp.bool_(True))
  (_, old), (node, slot, went) = jax.lax.scan(down, start, jnp.arange(max_depth))
  return node, slot, went, ~old


def _choose(now: Tree, node: jax.Array, key: jax.Array) -> jax.Array:
  """The joint action of a node to look into, by MAZero's rule.

  Clipped normalised advantage, 0 before it is normalised where nothing is known, plus
  share * (log((n + 19653) / 19652) + 1.25) sqrt(n) / (1 + n_c), with n_c visits of the
  joint action and n of all of them. At the root each is tried once at first.
  """
  found = now.depth > 0
  above = now.node.value[jnp.maximum(now.parent, 0)]
  advantage = now.node.reward + _onward(now) - above
  low = jnp.where(found, advantage, jnp.inf).min()
  high = jnp.where(found, advantage, -jnp.inf).max()
  child, visits = now.child[node], now.visits[node]
  own = jnp.where(child >= 0, advantage[child], 0.0)
  normalised = jnp.clip((own - low) / jnp.maximum(high - low, _LEAST_RANGE), 0.0, 1.0)
  total = visits.sum().astype(own.dtype)
  rate = jnp.log((total + _BASE + 1) / _BASE) + _INIT
  share = now.share[node]
  score = normalised + share * rate * jnp.sqrt(total) / (1 + visits)
  score = jnp.where((node == 0) & (visits == 0), jnp.inf, score)
  score = jnp.where(share > 0, score, -jnp.inf)
  best = score >= score.max() - _TIE
  return jnp.argmax(jnp.where(best, jax.random.uniform(key, best.shape), -1.0))


def _onward(now: Tree) -> jax.Array:
  """Discounted value of going on from each node."""
  return now.node.discount * now.value
