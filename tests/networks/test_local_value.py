"""Values of agents' own actions: what they read, and that the ways to them agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load
from logo_jax.networks.agent import Trunk
from logo_jax.networks.local_value import make_action_values, make_local_value
from logo_jax.ops.standardise import standardise
from tests import toys

SHARING = pytest.mark.parametrize("share", [True, False], ids=["shared", "separate"])


@pytest.fixture(scope="module")
def lq():
  return load(toys.linear_quadratic(20))


@pytest.fixture(scope="module")
def corridor():
  return toys.load_corridor(20)


def _continuous(lq, share, dims=1):
  spec = jax.tree.map(lambda x: x, lq.spec)
  spec = spec.__class__(**{**spec.__dict__, "action_dim": dims})
  value = make_local_value(spec, lq.statistics, Trunk(8, share))
  return value, jax.jit(value.init)(jax.random.key(0))


@SHARING
def test_an_agent_is_valued_by_its_own_observation_and_action(lq, share):
  value, params = _continuous(lq, share)
  obs = jax.random.normal(jax.random.key(1), (3, 2, 1))
  action = jax.random.uniform(jax.random.key(2), (3, 2, 1))

  def q(obs, action):
    return value.values(params, value.context(params, obs), action)

  base = q(obs, action)
  assert base.shape == (2, 3, 2)
  for other in (q(obs.at[:, 1].add(1.0), action), q(obs, action.at[:, 1].add(0.3))):
    np.testing.assert_allclose(other[..., 0], base[..., 0], rtol=1e-6)
    assert (np.abs(other - base)[..., 1] > 1e-6).all()
  same = q(obs.at[:, 1].set(obs[:, 0]), action.at[:, 1].set(action[:, 0]))
  assert (same[..., 0] != same[..., 1]).any()  # told apart by identity, or parameters
  assert (base[0] != base[1]).any()  # heads


def test_value_is_the_perceptron_that_it_says(lq):
  """By hand: relu(Wo [z, identity] + b + Wa a), then two dense layers."""
  value, params = _continuous(lq, share=True)
  p = jax.tree.map(lambda x: np.asarray(x[1]), params)  # the second head
  obs, action = jnp.array([[0.3], [-0.2]]), jnp.array([[0.5], [-1.0]])
  z = np.asarray(standardise(obs, lq.statistics.obs))
  x = np.concatenate([z, np.eye(2)], -1)
  h = x @ p["obs"]["params"]["kernel"] + p["obs"]["params"]["bias"]
  h = np.maximum(h + np.asarray(action) @ p["action"]["params"]["kernel"], 0)
  first, last = (p["rest"]["params"][f"Dense_{i}"] for i in (0, 1))
  h = np.maximum(h @ first["kernel"] + first["bias"], 0)
  expected = (h @ last["kernel"] + last["bias"])[:, 0]
  q = value.values(params, value.context(params, obs), action)
  np.testing.assert_allclose(q[1], expected, rtol=1e-5)


@SHARING
def test_each_state_and_agent_is_scored_as_in_a_batch(lq, share):
  """Several dimensions of actions, several leading axes."""
  value, params = _continuous(lq, share, dims=4)
  obs = jax.random.normal(jax.random.key(1), (3, 5, 2, 1))
  context = value.context(params, obs)
  actions = jax.random.uniform(jax.random.key(2), (6, 4))
  scores, keys = value.for_each(
    lambda score, key: (score(actions), jax.random.uniform(key)),
    params,
    context,
    jax.random.key(3),
  )
  assert scores.shape == (3, 5, 2, 6)
  for k in range(6):
    everywhere = jnp.broadcast_to(actions[k], (3, 5, 2, 4))
    expected = value.values(params, context, everywhere)[0]
    np.testing.assert_allclose(scores[..., k], expected, rtol=1e-5, atol=1e-6)
  assert len(np.unique(keys)) == 30  # each draws on its own


@SHARING
def test_action_values_read_the_state_and_ones_own_observation(corridor, share):
  value = make_action_values(corridor.spec, corridor.statistics, Trunk(8, share))
  params = jax.jit(value.init)(jax.random.key(0))
  obs = jax.random.normal(jax.random.key(1), (4, 2, 5))
  state = jax.random.normal(jax.random.key(2), (4, 8))
  q = value.values(params, obs, state)
  assert q.shape == (2, 4, 2, 3)
  other = value.values(params, obs.at[:, 1].add(1.0), state)
  np.testing.assert_allclose(other[..., 0, :], q[..., 0, :], rtol=1e-6)
  assert (np.abs(other - q)[..., 1, :] > 1e-6).any()
  assert (np.abs(value.values(params, obs, state + 1.0) - q) > 1e-6).any()


def test_heads_share_nothing_and_add_advantage_to_value(corridor):
  value = make_action_values(corridor.spec, corridor.statistics, Trunk(8, True))
  params = jax.jit(value.init)(jax.random.key(0))
  obs, state = jnp.ones((2, 5)), jnp.ones(8)

  def first_head(params):
    return value.values(params, obs, state)[0].sum()

  grads = jax.grad(first_head)(params)
  assert all((g[1] == 0).all() for g in jax.tree.leaves(grads))
  # A sum without centring: raising the scalar raises all actions' values alike.
  raised = jax.tree.map(lambda x: x, params)
  raised["params"]["value"]["bias"] += 2.0
  change = value.values(raised, obs, state) - value.values(params, obs, state)
  np.testing.assert_allclose(change, 2.0, rtol=1e-5)
