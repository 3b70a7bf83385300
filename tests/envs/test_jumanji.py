"""Jumanji: what the games show, and how their ends differ."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.envs import base, jumanji

pytest.importorskip("jumanji")


def _walk(env, actions, key=0):
  """Plays the given joint actions; time steps stacked, the first after reset."""
  k_reset, k_play = jax.random.split(jax.random.key(key))
  step = jax.jit(env.step)
  state, timestep = jax.jit(env.reset)(k_reset)
  seen = [timestep]
  for i, action in enumerate(actions):
    action = jnp.asarray(action, jnp.int32)
    state, timestep = step(state, action, jax.random.fold_in(k_play, i))
    seen.append(timestep)
  return jax.tree.map(lambda *x: np.stack(x), *seen)


@pytest.mark.parametrize(
  "scenario, sizes",
  [
    ("rware-tiny-4ag", (4, 66, 264, 5, 500)),
    ("lbf-8x8-2p-2f-coop", (2, 12, 24, 6, 100)),
    ("lbf-15x15-4p-5f", (4, 27, 108, 6, 100)),
    ("connector-5x5x3a", (3, 150, 450, 5, 50)),
  ],
)
def test_published_sizes(scenario, sizes):
  spec = base.make(f"jumanji/{scenario}").spec
  assert sizes == (
    spec.num_agents,
    spec.obs_dim,
    spec.state_dim,
    spec.action_dim,
    spec.max_steps,
  )


def test_state_is_the_observations_side_by_side():
  played = _walk(base.make("jumanji/lbf-8x8-2p-2f-coop"), [])
  np.testing.assert_array_equal(played.state, played.obs.reshape(1, -1))


def test_warehouse_ends_at_its_time_limit_with_discount_1():
  env = base.make("jumanji/rware-tiny-2ag")
  state, _ = jax.jit(env.reset)(jax.random.key(0))
  state = state._replace(step=jnp.asarray(env.spec.max_steps - 2, jnp.int32))
  step = jax.jit(env.step)
  stay = jnp.zeros(2, jnp.int32)
  state, timestep = step(state, stay, jax.random.key(1))
  assert not timestep.last
  state, timestep = step(state, stay, jax.random.key(2))
  assert timestep.last
  assert timestep.discount == 1
  assert not timestep.won


@pytest.fixture(scope="module")
def collision():
  """Robots that drive on until two collide; the first seed where they do."""
  env = base.make("jumanji/rware-tiny-4ag")
  reset, step = jax.jit(env.reset), jax.jit(env.step)
  for seed in range(20):
    state, timestep = reset(jax.random.key(seed))
    seen = [timestep]
    for i in range(12):
      action = jnp.where(timestep.legal[:, 1], 1, 2)
      state, timestep = step(state, action, jax.random.key(i))
      seen.append(timestep)
    if seen[5].last and not seen[1].last:
      return jax.tree.map(lambda *x: np.stack(x), *seen)
  pytest.fail("no collision in 20 warehouses")


def test_a_collision_ends_with_discount_0(collision):
  end = int(np.argmax(collision.last))
  assert collision.discount[end] == 0
  np.testing.assert_array_equal(collision.discount[:end], 1)
  assert not collision.won.any()


def test_the_end_is_frozen_and_pays_nothing(collision):
  end = int(np.argmax(collision.last))
  assert collision.last[end:].all()
  np.testing.assert_array_equal(collision.reward[end + 1 :], 0)
  for field in ("obs", "state", "legal", "won", "discount"):
    after = getattr(collision, field)[end:]
    np.testing.assert_array_equal(after, np.broadcast_to(after[0], after.shape))


def test_final_observation_is_shown_not_the_next_start(collision):
  end = int(np.argmax(collision.last))
  cells = collision.obs[:, :, :2]
  assert (np.abs(cells[end] - cells[end - 1]).sum(-1) <= 1).all()  # moved by a cell


def _before_delivery(state):
  """The same warehouse, a robot with a requested shelf one step above the goal."""
  inner = state.inner
  height, width = inner.grid.shape[1:]
  goal = (height - 1, width // 2)
  shelf = int(inner.request_queue[0])
  x, y = int(inner.shelves.position.x[shelf]), int(inner.shelves.position.y[shelf])
  above = (goal[0] - 1, goal[1])
  shelves = inner.grid[0].at[x, y].set(0).at[above].set(shelf + 1)
  agents = jnp.zeros_like(inner.grid[1]).at[above].set(1).at[0, 0].set(2)
  position = inner.agents.position._replace(
    x=jnp.array([above[0], 0], jnp.int32), y=jnp.array([above[1], 0], jnp.int32)
  )
  inner = inner.replace(
    grid=jnp.stack([shelves, agents]),
    agents=inner.agents._replace(
      position=position,
      direction=jnp.array([2, 0], inner.agents.direction.dtype),  # down
      is_carrying=jnp.array([1, 0], inner.agents.is_carrying.dtype),
    ),
    shelves=inner.shelves._replace(
      position=inner.shelves.position._replace(
        x=inner.shelves.position.x.at[shelf].set(above[0]),
        y=inner.shelves.position.y.at[shelf].set(above[1]),
      )
    ),
  )
  return state._replace(inner=inner)


def test_deliveries_are_paid_once_to_the_team():
  """A robot that carries a requested shelf drives onto the goal."""
  env = base.make("jumanji/rware-tiny-2ag")
  state, _ = jax.jit(env.reset)(jax.random.key(0))
  _, timestep = jax.jit(env.step)(
    _before_delivery(state), jnp.array([1, 0]), jax.random.key(1)
  )
  assert timestep.reward == 1
  assert not timestep.last


def test_foraging_is_won_when_all_is_eaten():
  """One food is left, beside both agents, whose levels together suffice."""
  env = base.make("jumanji/lbf-8x8-2p-2f-coop")
  state, timestep = jax.jit(env.reset)(jax.random.key(0))
  inner = state.inner
  inner = inner.replace(
    food_items=inner.food_items.replace(
      position=jnp.array([[3, 3], [6, 6]], jnp.int32), eaten=jnp.array([False, True])
    ),
    agents=inner.agents.replace(position=jnp.array([[3, 2], [3, 4]], jnp.int32)),
  )
  state = state._replace(inner=inner)
  step = jax.jit(env.step)
  _, alone = step(state, jnp.array([5, 0]), jax.random.key(1))
  assert (alone.reward, alone.last, alone.won) == (0, False, False)
  _, both = step(state, jnp.array([5, 5]), jax.random.key(1))
  np.testing.assert_allclose(both.reward, 0.5, atol=1e-6)
  assert both.last and both.won
  assert both.discount == 0


def test_connector_is_won_when_all_are_connected():
  env = base.make("jumanji/connector-5x5x3a")
  state, _ = jax.jit(env.reset)(jax.random.key(0))
  inner = state.inner
  heads = np.array([[0, 0], [2, 0], [4, 0]])
  targets = np.array([[0, 1], [2, 2], [4, 1]])
  grid = np.zeros((5, 5), np.int32)
  for i in range(3):
    grid[tuple(heads[i])], grid[tuple(targets[i])] = 3 * i + 2, 3 * i + 3
  inner = inner.replace(
    grid=jnp.asarray(grid),
    agents=inner.agents.replace(
      position=jnp.asarray(heads, jnp.int32),
      start=jnp.asarray(heads, jnp.int32),
      target=jnp.asarray(targets, jnp.int32),
    ),
    action_mask=jnp.ones_like(inner.action_mask),
  )
  step = jax.jit(env.step)
  state, first = step(
    state._replace(inner=inner), jnp.array([2, 2, 2]), jax.random.key(1)
  )
  np.testing.assert_allclose(first.reward, 2 - 3 * 0.03, atol=1e-6)
  assert not first.last and not first.won
  np.testing.assert_array_equal(
    np.asarray(first.legal)[[0, 2]], [[True] + [False] * 4] * 2
  )
  _, second = step(state, jnp.array([0, 2, 0]), jax.random.key(2))
  assert second.last and second.won
  assert second.discount == 0
  # Agent 1 has walked along row 2: path, path, head; no target is left anywhere.
  own = second.obs[1].reshape(6, 5, 5)[:3]
  np.testing.assert_array_equal(np.argwhere(own[0]), [[2, 0], [2, 1]])
  np.testing.assert_array_equal(np.argwhere(own[1]), [[2, 2]])
  assert not own[2].any()


def test_connector_shows_own_and_others_apart():
  grid = jnp.array([[2, 3, 0], [4, 5, 6], [0, 0, 0]])
  seen = np.asarray(jumanji._indicators(grid, 2)).reshape(2, 6, 3, 3)
  first = [[0, 0], [0, 1]]  # head and target of agent 0
  second = [[1, 0], [1, 1], [1, 2]]  # path, head and target of agent 1
  for me, other in ((0, 1), (1, 0)):
    cells = (first, second)
    assert np.argwhere(seen[me, :3].any(0)).tolist() == cells[me]
    assert np.argwhere(seen[me, 3:].any(0)).tolist() == cells[other]
  assert np.argwhere(seen[1, 0]).tolist() == [[1, 0]]
  assert np.argwhere(seen[1, 1]).tolist() == [[1, 1]]
  assert np.argwhere(seen[1, 2]).tolist() == [[1, 2]]


def test_connector_blocked_without_a_win_ends_with_discount_0():
  """Nobody but the first can move, and it walks into a corner."""
  env = base.make("jumanji/connector-5x5x3a")
  state, _ = jax.jit(env.reset)(jax.random.key(0))
  inner = state.inner
  grid = np.full((5, 5), 7, np.int32)  # the third agent's path, all over
  heads, targets = np.array([[0, 0], [2, 2], [4, 4]]), np.array([[0, 4]] * 3)
  for i in range(3):
    grid[tuple(heads[i])] = 3 * i + 2
  grid[0, 1] = 0
  mask = np.zeros((3, 5), bool)
  mask[:, 0] = mask[0, 2] = True
  inner = inner.replace(
    grid=jnp.asarray(grid),
    agents=inner.agents.replace(
      position=jnp.asarray(heads, jnp.int32), target=jnp.asarray(targets, jnp.int32)
    ),
    action_mask=jnp.asarray(mask),
  )
  _, timestep = jax.jit(env.step)(
    state._replace(inner=inner), jnp.array([2, 0, 0]), jax.random.key(1)
  )
  assert timestep.last and not timestep.won
  assert timestep.discount == 0
  np.testing.assert_allclose(timestep.reward, -0.09, atol=1e-6)


def test_chance_comes_from_the_key_of_a_step():
  """Requests after a delivery are random; the state itself holds no key."""
  env = base.make("jumanji/rware-tiny-2ag")
  state, _ = jax.jit(env.reset)(jax.random.key(0))
  np.testing.assert_array_equal(state.inner.key, 0)
  keys = jax.random.split(jax.random.key(1), 8)
  step = jax.jit(jax.vmap(env.step, in_axes=(None, None, 0)))
  after, _ = step(_before_delivery(state), jnp.array([1, 0]), keys)
  assert len(np.unique(after.inner.request_queue, axis=0)) > 1
  np.testing.assert_array_equal(after.inner.key, 0)


def test_unknown_scenario_of_the_suite_is_refused():
  with pytest.raises(ValueError, match="'snake' is not one of: rware-tiny-2ag"):
    jumanji.make("snake")


def test_missing_package_names_the_extra(monkeypatch):
  for name in [name for name in sys.modules if name.split(".")[0] == "jumanji"]:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, "jumanji", None)
  with pytest.raises(ImportError, match=r"pip install 'logo_jax\[jumanji\]'"):
    jumanji.make("lbf-8x8-2p-2f-coop")
