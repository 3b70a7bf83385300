"""Networks of entities: symmetry, messages, pointing, depth."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs import typed
from logo_jax.data.dataset import transitions
from logo_jax.layout import Table
from logo_jax.networks.entity import Graph, SumHead, Trunk, depth_features
from logo_jax.networks.entity_models import EntityNetworks
from logo_jax.networks.flat_models import Sizes
from logo_jax.networks.now import Now
from tests import skirmish

ORDER = (0, 1, 3, 2)  # the enemies change places


@pytest.fixture(scope="module")
def loaded():
  return skirmish.load(40)


def _build(loaded, layout):
  stats = loaded.statistics
  spec = dataclasses.replace(loaded.spec, layout=layout)
  state = typed.make([layout.state], stats.state)
  obs = typed.make(layout.obs, stats.obs, spec.obs_mask)
  return EntityNetworks(Sizes(8), spec, state, obs, deductive=True), state, obs


def _renumbered(layout):
  """The same vectors with other numbers for the entities."""

  def at(points):  # -1 stays
    return tuple(tuple(p if p < 0 else ORDER.index(p) for p in row) for row in points)

  def table(old: Table) -> Table:
    columns = tuple(
      dataclasses.replace(
        c, points=at([c.points[k] for k in ORDER]) if c.points else ()
      )
      for c in old.columns
    )
    return Table(columns, tuple(old.index[k] for k in ORDER), old.presence)

  return dataclasses.replace(
    layout,
    state=table(layout.state),
    obs=tuple(map(table, layout.obs)),
    action_points=at(layout.action_points),
  )


def _now(loaded, state, obs, num=8):
  t = transitions(loaded.data.rows, loaded.data.train[10 : 10 + num])
  action = jax.nn.one_hot(t.action, loaded.spec.action_dim)
  return Now(obs.encode(t.obs), state.encode(t.state), action, jnp.zeros(num)), t


@pytest.fixture(scope="module")
def parts(loaded):
  nets, state, obs = _build(loaded, skirmish.LAYOUT)
  # No zeros anywhere: what is zero at first is to count, too.
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: jnp.asarray(rng.normal(0.1, 0.3, x.shape), jnp.float32),
    jax.eval_shape(nets.init, jax.random.key(0)),
  )
  return nets, state, obs, params


def test_numbers_of_entities_mean_nothing(loaded, parts):
  """Renumbered with their identities, they are said to do the same."""
  nets, state, obs, params = parts
  others, state_2, obs_2 = _build(loaded, _renumbered(skirmish.LAYOUT))
  others._features.static = nets._features.static[list(ORDER)]

  @functools.partial(jax.jit, static_argnums=0)
  def say(which):
    nets_, state_, obs_ = ((nets, state, obs), (others, state_2, obs_2))[which]
    now, t = _now(loaded, state_, obs_)
    embedding = nets_.trunk(params, now)
    next_state = state_.decode(nets_.state(params, embedding, now), now.state)
    next_obs = obs_.decode(nets_.obs(params, embedding, now), now.obs)
    deduced = state_.decode(nets_.deduce(params, next_obs, now), now.state)
    encoded = obs_.decode(nets_.encode(params, next_state, t.reward), now.obs)
    return {
      "state": state_.vector(next_state),
      "obs": obs_.vector(next_obs),
      "deduced": state_.vector(deduced),
      "encoded": obs_.vector(encoded),
      "reward": nets_.reward(params, next_obs, next_state, now),
      "termination": nets_.termination(params, next_state, now),
      "legal": nets_.legal(params, next_obs),
    }

  one, other = say(0), say(1)
  for name, x in one.items():
    assert np.std(x) > 1e-3, name
    np.testing.assert_allclose(other[name], x, atol=1e-5, err_msg=name)
  # They would not do the same without their identities.
  others._features.static = nets._features.static
  say.clear_cache()
  assert np.abs(say(1)["state"] - one["state"]).max() > 1e-3


@pytest.fixture(scope="module")
def graph():
  keys = jax.random.split(jax.random.key(0), 3)
  nodes = jax.random.normal(keys[0], (4, 5))
  pairs = jax.random.normal(keys[1], (4, 4, 3))
  graph = Graph(nodes, pairs, jnp.ones(4), jnp.zeros(2))
  trunk = Trunk(8)
  return trunk, trunk.init(keys[2], graph), graph


def test_who_is_absent_sends_no_messages(graph):
  trunk, params, g = graph
  run = jax.jit(trunk.apply)
  away = g._replace(present=jnp.array([1.0, 1.0, 1.0, 0.0]))
  rest = np.arange(3)

  def change(g):
    """Of the others, if the last one's features are others."""
    moved = g._replace(nodes=g.nodes.at[3].add(2.0), pairs=g.pairs.at[3].add(2.0))
    return np.abs(run(params, moved).nodes - run(params, g).nodes)[rest].max()

  assert change(g) > 0.05
  assert change(away) < 1e-4


def test_messages_come_from_each_who_is_there(graph):
  trunk, params, g = graph
  run = jax.jit(trunk.apply)
  for sender in range(4):
    moved = g._replace(nodes=g.nodes.at[sender].add(1.0))
    change = np.abs(run(params, moved).nodes - run(params, g).nodes).max(-1)
    assert (change > 1e-4).all()


def test_depth_0_is_no_depth(graph):
  """Whatever the weights of depth are, they count from the first prediction on."""
  trunk, params, g = graph
  np.testing.assert_array_equal(depth_features(jnp.array(0.0)), [0, 0])
  np.testing.assert_allclose(depth_features(jnp.array(2.0)), [1, np.log(3) / 3])
  weights = [x for x in jax.tree.leaves(params) if x.shape == (2, 8)]
  assert len(weights) == 1 and (weights[0] == 0).all()
  other = jax.tree.map(lambda x: x + 0.3 * (x.shape == (2, 8)), params)
  run = jax.jit(trunk.apply)
  deep = g._replace(depth=depth_features(jnp.array(2.0)))
  same = run(params, g).nodes
  np.testing.assert_array_equal(run(other, g).nodes, same)
  np.testing.assert_array_equal(run(params, deep).nodes, same)
  assert np.abs(run(other, deep).nodes - same).max() > 1e-3


def test_a_sum_of_entities_in_any_order_that_knows_its_depth():
  """What the reward and the end of an episode are said from."""
  head, x = SumHead(8), jax.random.normal(jax.random.key(0), (4, 3))
  now, deep = depth_features(jnp.array(0.0)), depth_features(jnp.array(2.0))
  params = head.init(jax.random.key(1), x, now)
  run = jax.jit(head.apply)
  same = run(params, x, now)
  assert same.shape == () and run(params, x, deep) == same
  np.testing.assert_allclose(run(params, x[::-1], now), same, atol=1e-5)
  other = jax.tree.map(lambda w: w + 0.3 * (w.shape == (2, 8)), params)
  assert run(other, x, now) == same
  assert np.abs(run(other, x, deep) - same) > 1e-3


@pytest.mark.parametrize(("sender", "target"), [(2, 0), (3, 1)])
def test_who_acts_on_whom_is_said_of_the_value_that_points_there(
  loaded, parts, sender, target
):
  """A pair's features reach the logit of one value of one entity alone."""
  nets, state, obs, params = parts
  now, _ = _now(loaded, state, obs, 1)
  # No agent's own pair, from which its observations are said.
  embedding = nets.trunk(params, now)
  pairs = embedding.pairs.at[..., sender, target, :].add(1.0)
  change = nets.obs(params, embedding._replace(pairs=pairs), now) - nets.obs(
    params, embedding, now
  )
  # Outputs: presence, four of each of 4 continuous features, hurt, then the target's
  # values: nobody, the first and the second of the other side.
  first = 1 + 4 * 4 + 1
  assert obs.structure.pointers[0].output == first
  wanted = np.zeros(change.shape, bool)
  wanted[..., sender, first + 1 + target] = True
  np.testing.assert_array_equal(np.abs(change) > 1e-6, wanted)
  # Both agents are told the same.
  np.testing.assert_allclose(change[:, 0], change[:, 1], atol=1e-6)


@pytest.mark.parametrize("action", [2, 3])
def test_actions_point_at_entities(loaded, parts, action):
  nets, state, obs, _ = parts
  now, _ = _now(loaded, state, obs, 1)
  one_hot = jax.nn.one_hot(jnp.array([[0, action]]), 4)
  acts = np.asarray(nets._features._acts_on(one_hot))[0]
  wanted = np.zeros((4, 4))
  wanted[1, action] = 1
  np.testing.assert_array_equal(acts, wanted)
