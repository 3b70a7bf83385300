"""Searching: what is drawn twice, visits, values against plain Python, legality."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.search import sampled
from logo_jax.search.sampled import Foreseen, TreeConfig
from tests.ops.test_os_lambda import _plain
from tests.search import games


def test_draws_that_are_equal_are_one():
  drawn = jnp.array([[0, 1], [2, 2], [0, 1], [0, 1]])
  np.testing.assert_allclose(sampled.shares(drawn), [0.75, 0.25, 0.0, 0.0])
  continuous = jnp.array([[[0.1], [0.2]], [[0.1], [0.3]]])
  np.testing.assert_allclose(sampled.shares(continuous), [0.5, 0.5])


def test_one_step_by_hand():
  zero = jnp.float32(0)

  def step(latent, action):
    reward = action.sum() * 1.0
    return Foreseen((), reward, jnp.float32(0.5), 10.0 * action[0], zero, zero)

  root = Foreseen((), zero, zero, zero, zero, zero)
  actions = jnp.array([[0, 1], [1, 1], [0, 1], [0, 0]])
  found = sampled.one_step(root, actions, step)
  np.testing.assert_allclose(found.q, [1.0, 2 + 5.0, 1.0, 0.0])
  np.testing.assert_allclose(found.share, [0.5, 0.25, 0.0, 0.25])
  np.testing.assert_allclose(found.value, 0.5 * 1 + 0.25 * 7)
  assert int(found.preference.argmax()) == 1
  assert found.preference[2] == -np.inf


@functools.cache
def _grown(shift: float = 0.0, seed: int = 0, depth: int = 4):
  root, step, propose = games.line(6, shift)
  config = TreeConfig(num_simulations=24, max_depth=depth, rho=0.5, decay=0.8)

  @jax.jit
  def grow(key):
    k_root, k_tree = jax.random.split(key)
    return sampled.grow(root, propose(root, k_root), step, propose, config, k_tree)

  return jax.tree.map(np.asarray, grow(jax.random.key(seed)))


def test_values_are_what_plain_python_makes_of_the_tree():
  tree = _grown()
  num = len(tree.parent)
  for i in np.flatnonzero(tree.depth >= 0):
    returns, below = np.zeros(num), np.zeros(num, bool)
    for j in np.flatnonzero(tree.depth >= 0):
      node, seen = j, tree.node.value[j]
      while node not in (i, -1):
        seen = tree.node.reward[node] + tree.node.discount[node] * seen
        node = tree.parent[node]
      below[j], returns[j] = node == i, seen
    wanted = _plain(returns, tree.depth - tree.depth[i], below, 0.5, 0.8)
    np.testing.assert_allclose(tree.value[i], wanted, rtol=1e-4)


def test_the_tree_hangs_together():
  tree = _grown()
  found = np.flatnonzero(tree.depth > 0)
  assert tree.depth.max() <= 4
  assert len(found) > 10
  for i in found:
    parent = tree.parent[i]
    (slot,) = np.flatnonzero(tree.child[parent] == i)
    assert tree.depth[i] == tree.depth[parent] + 1
    # A node is visited by what found it and by all that went on from it.
    assert tree.visits[parent, slot] >= 1 + tree.visits[i].sum()
    # It is where the model says that its joint action leads.
    moved = (tree.action[parent, slot] == 2).all()
    assert tree.node.latent[i] == min(tree.node.latent[parent] + moved, 6)
  assert tree.visits[0].sum() == 24


def test_repeated_draws_are_never_visited_and_all_others_are_tried():
  tree = _grown()
  assert (tree.share == 0).any()
  assert (tree.visits[tree.share == 0] == 0).all()
  assert (tree.visits[0][tree.share[0] > 0] > 0).all()


def test_no_node_has_an_illegal_joint_action():
  tree = _grown()
  for i in np.flatnonzero(tree.depth >= 0):
    for agent in range(2):
      assert tree.node.legal[i, agent][tree.action[i, :, agent]].all()


def test_more_reward_everywhere_changes_no_visits():
  np.testing.assert_array_equal(_grown().visits, _grown(shift=0.5).visits)


def test_the_best_joint_action_is_visited_most():
  """Both must do 1, twice, where the model's values say nothing."""

  def node(cell, reward):
    legal = jnp.ones((2, 2), bool)
    zero = jnp.float32(0)
    return Foreseen(cell, reward, zero + 0.9, zero, jnp.zeros((2, 2)), legal)

  def step(cell, action):
    both = (action == 1).all()
    # The second time pays, and doing 0 now pays a bit.
    reward = jnp.where(
      both & (cell == 1), 5.0, 0.2 * ((action == 0).all() & (cell == 0))
    )
    return node(jnp.where(both, cell + 1, 9), reward)

  def propose(at, key):
    return jnp.array([[0, 0], [1, 1]])

  root = node(jnp.int32(0), jnp.float32(0))
  config = TreeConfig(num_simulations=40)
  run = jax.jit(
    lambda key: sampled.tree(root, propose(root, key), step, propose, config, key)
  )
  found = run(jax.random.key(0))
  assert int(found.preference.argmax()) == int(found.q.argmax()) == 1
  np.testing.assert_allclose(found.share.sum(), 1.0)
  one = sampled.one_step(root, propose(root, jax.random.key(0)), step)
  assert int(one.q.argmax()) == 0  # a step is not enough to see it


@pytest.mark.slow
def test_values_agree_with_those_of_another_library():
  """mctx averages all that is found below a node: rho = 0 and lambda = 1."""
  mctx = pytest.importorskip("mctx")
  root, step, propose = games.line(6)
  wide = jnp.array([[1, 1], [2, 2], [1, 2], [2, 0], [2, 1]], jnp.int32)
  size = 20

  def recurrent(params, key, action, latent):
    del params, key
    at = jax.vmap(step)(latent, wide[action])
    out = mctx.RecurrentFnOutput(
      reward=at.reward,
      discount=at.discount,
      prior_logits=jnp.zeros((1, 5)),
      value=at.value,
    )
    return out, at.latent

  first = mctx.RootFnOutput(
    prior_logits=jnp.zeros((1, 5)), value=root.value[None], embedding=root.latent[None]
  )

  @jax.jit
  def search_theirs(key):
    return mctx.muzero_policy(
      *((), key, first, recurrent, size), dirichlet_fraction=0.0, max_depth=size
    ).search_tree

  with jax.debug_key_reuse(False):  # theirs is none of our business
    theirs = search_theirs(jax.random.key(3))
  config = TreeConfig(size, max_depth=size, rho=0.0, decay=1.0)
  ours = sampled.empty(root, wide, size + 1)
  add = jax.jit(functools.partial(sampled.add, config=config))
  for i in range(1, size + 1):
    place = theirs.parents[0, i], theirs.action_from_parent[0, i]
    latent = ours.node.latent[place[0]]
    ours = add(ours, jnp.int32(i), step(latent, wide[place[1]]), wide, place, True)
  np.testing.assert_allclose(ours.value, theirs.node_values[0], rtol=1e-5)
