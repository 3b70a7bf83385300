"""Layouts of Jumanji's games: every feature is the one it is called."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.envs import base, jumanji
from tests.envs import layouts

pytest.importorskip("jumanji")

_WITH = [name for name in jumanji.SCENARIOS if not name.startswith("connector")]
# Played and trained on; the others differ in numbers alone.
_PLAYED = ["rware-tiny-2ag", "lbf-8x8-2p-2f-coop", "lbf-2s-8x8-2p-2f-coop"]


def _layout(scenario):
  known = jumanji.layout(scenario)
  assert known is not None
  return known


@functools.cache
def _played(scenario, num_steps=40, num=8):
  """Random legal play: Jumanji's states, time steps `[T, B]`, actions `[T - 1, B]`.

  The first food of every other copy was eaten before.
  """
  env = base.make(f"jumanji/{scenario}")

  def one(carry, key):
    k_act, k_step = jax.random.split(key)
    state, now = carry
    action = jax.random.categorical(k_act, jnp.where(now.legal, 0.0, -1e9))
    state, after = jax.vmap(env.step)(state, action, jax.random.split(k_step, num))
    return (state, after), (state.inner, after, action)

  @jax.jit
  def play(key):
    k_reset, k_play = jax.random.split(key)
    state, now = jax.vmap(env.reset)(jax.random.split(k_reset, num))
    if scenario.startswith("lbf"):
      eaten = state.inner.food_items.eaten.at[::2, 0].set(True)
      foods = state.inner.food_items.replace(eaten=eaten)
      state = state._replace(inner=state.inner.replace(food_items=foods))
    keys = jax.random.split(k_play, num_steps)
    _, (inner, after, action) = jax.lax.scan(one, (state, now), keys)
    return inner, after, action[1:]

  return jax.tree.map(np.asarray, play(jax.random.key(0)))


@pytest.mark.parametrize("scenario", _WITH)
def test_each_feature_has_one_name(scenario):
  spec = base.make(f"jumanji/{scenario}").spec
  layout = _layout(scenario)
  assert spec.layout == base.layout(spec) == layout
  assert len(layout.action_points[0]) == spec.action_dim


def test_others_have_none():
  assert jumanji.layout("connector-5x5x3a") is None
  assert jumanji.layout("lbf-9x9-2p-1f") is None


def _tables(scenario):
  """Each table, a function from its features' names to values, and its observer."""
  layout = _layout(scenario)
  _, played, _ = _played(scenario)

  def reader(table, vectors):
    return lambda e, name: vectors[..., table.index[e][table.column(name)]]

  obs = [reader(table, played.obs[:, :, i]) for i, table in enumerate(layout.obs)]
  return layout, reader(layout.state, played.state), obs


def test_robots_and_what_they_see():
  inner, played, _ = _played("rware-tiny-2ag")
  layout, state, obs = _tables("rware-tiny-2ag")
  going = ~played.last  # after a collision Jumanji's observation is out of order
  x, y = inner.agents.position.x, inner.agents.position.y
  seen = 0
  for i in range(2):
    for read in (state, obs[i]):

      def expect(name, wanted, read=read, i=i):
        np.testing.assert_array_equal(read(i, name)[going], wanted[going])

      expect("x", x[..., i])
      expect("y", y[..., i])
      expect("loaded", inner.agents.is_carrying[..., i])
      for k in range(4):
        expect(f"heading_{k}", inner.agents.direction[..., i] == k)
      other = 1 - i
      for row in range(3):
        for column in range(3):
          cell_x, cell_y = x[..., i] + row - 1, y[..., i] + column - 1
          if (row, column) != (1, 1):
            there = (x[..., other] == cell_x) & (y[..., other] == cell_y)
            seen += there[going].sum()
            expect(f"robot_at_{row}_{column}", there)
            facing = inner.agents.direction[..., other]
            expect(f"heading_3_at_{row}_{column}", there & (facing == 3))
          where = inner.shelves.position
          shelf = (where.x == cell_x[..., None]) & (where.y == cell_y[..., None])
          expect(f"shelf_at_{row}_{column}", shelf.any(-1))
          wanted = (shelf & (inner.shelves.is_requested > 0)).any(-1)
          expect(f"requested_at_{row}_{column}", wanted)
    assert (layout.obs[i].places[1 - i] == -1).all()
  assert seen > 0


@pytest.mark.parametrize("scenario", _PLAYED[1:])
def test_agents_and_foods_as_each_agent_sees_them(scenario):
  inner, _, _ = _played(scenario)
  _, state, obs = _tables(scenario)
  agents, foods = inner.agents, inner.food_items
  cells = np.concatenate([agents.position, foods.position], -2)  # [T, B, E, 2]
  levels = np.concatenate([agents.level, foods.level], -1)
  there = np.concatenate([np.ones_like(agents.level, bool), ~foods.eaten], -1)
  sight = 2 if scenario.startswith("lbf-2s") else 8
  hidden = 0
  for i in range(2):
    own = agents.position[..., i, :]
    corner = np.maximum(own - sight, 0)
    for e in range(4):
      near = (np.abs(cells[..., e, :] - own) <= sight).all(-1) & there[..., e]
      hidden += (~near).sum()
      shown = {
        "x": np.where(near, cells[..., e, 0] - corner[..., 0], -1),
        "y": np.where(near, cells[..., e, 1] - corner[..., 1], -1),
        "level": np.where(near, levels[..., e], 0),
      }
      for name, wanted in shown.items():
        np.testing.assert_array_equal(obs[i](e, name), wanted)
        np.testing.assert_array_equal(state(e, f"{name}_{i}"), wanted)
  assert hidden > 0


@pytest.mark.parametrize("scenario", _WITH)
def test_levels_are_among_the_known_values(scenario):
  """They follow from the agents' levels, of which a game draws its foods'."""
  layout = _layout(scenario)
  env = base.make(f"jumanji/{scenario}")
  if scenario.startswith("rware"):
    assert all(c.kind == "binary" for c in layout.state.columns[2:])
    return
  _, shown = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 300))
  column = layout.obs[0].column("level")
  values = layout.obs[0].columns[column].padded_values(layout.num_entities)
  for e, row in enumerate(layout.obs[0].index):
    drawn = np.unique(shown.obs[:, 0, row[column]])
    assert np.isin(drawn, values[e]).all()
    assert drawn.max() == np.nanmax(values[e])


@pytest.mark.parametrize("scenario", _PLAYED)
def test_vectors_turn_into_tokens_and_back(scenario):
  _, played, _ = _played(scenario)
  layouts.expect_round_trip(base.make(f"jumanji/{scenario}").spec, played)


# One game will do: what the other one shows turns into tokens above.
@pytest.mark.parametrize(
  "scenario", [_PLAYED[0], pytest.param(_PLAYED[1], marks=pytest.mark.slow)]
)
def test_world_models_read_them(scenario):
  _, played, action = _played(scenario)
  spec = base.make(f"jumanji/{scenario}").spec
  layouts.expect_learnable(spec, played, action)
