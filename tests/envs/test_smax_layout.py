"""How SMAX's vectors split into units, against JaxMARL's names and its battles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs import typed
from logo_jax.envs import base, smax
from logo_jax.ops.standardise import moments

SCENARIOS = [
  pytest.param(name, marks=() if name in ("3m", "2s3z") else pytest.mark.slow)
  for name in smax.SCENARIOS
]
BATTLES, STEPS = 12, 40


@functools.cache
def _played(scenario):
  """Time steps [B, T + 1], actions [B, T, N] and JaxMARL's own units [B, T + 1].

  Who has an enemy in range shoots at it three times out of four, at random; else it
  moves at random, or east.
  """
  env = base.make(f"smax/{scenario}")

  def act(legal, key):
    k_shoot, k_act = jax.random.split(key)
    east = 1.5 * (jnp.arange(legal.shape[-1]) == 1)
    shoot = (
      4.0 * (jnp.arange(legal.shape[-1]) > 4) * jax.random.bernoulli(k_shoot, 0.75)
    )
    return jax.random.categorical(k_act, jnp.where(legal, east + shoot, -1e9))

  def battle(key):
    def step(carry, key):
      state, now = carry
      k_act, k_step = jax.random.split(key)
      action = act(now.legal, k_act)
      new = env.step(state, action, k_step)
      return new, (new[1], action, new[0].state)

    k_reset, k_steps = jax.random.split(key)
    state, first = env.reset(k_reset)
    keys = jax.random.split(k_steps, STEPS)
    _, (after, action, units) = jax.lax.scan(step, (state, first), keys)

    def join(x, y):
      return jnp.concatenate([x[None], y])

    return (
      jax.tree.map(join, first, after),
      action,
      jax.tree.map(join, state.state, units),
    )

  keys = jax.random.split(jax.random.key(0), BATTLES)
  with jax.debug_key_reuse(False):  # JaxMARL uses keys twice
    return env.spec, *jax.device_get(jax.jit(jax.vmap(battle))(keys))


def _table(x, table):
  """Vectors [..., F] as [..., E, columns], NaN where an entity has no such feature."""
  x = np.concatenate([x, np.full((*x.shape[:-1], 1), np.nan)], -1)
  return x[..., table.places]


def _pointed(row, column, unit):
  """The entity at which a last target points, by the layout; -1 for none."""
  values = column.padded_values(row.shape[-2])[unit]
  at = np.nanargmin(np.abs(row[..., unit, 5, None] - values), -1)
  return column.padded_points(row.shape[-2])[unit][at]


@pytest.mark.parametrize("scenario", smax.SCENARIOS)
def test_every_feature_stands_where_jaxmarl_has_it(scenario):
  env = base.make(f"smax/{scenario}")
  inner = smax._make_jaxmarl(scenario)
  spec, layout = env.spec, env.spec.layout
  assert layout is not None
  layout.check((spec.obs_dim,) * spec.num_agents, spec.state_dim)
  num = inner.num_allies + inner.num_enemies
  assert layout.num_entities == num and len(layout.agents) == inner.num_allies
  names = {
    "health": "health",
    "position_x": "x",
    "position_y": "y",
    "last_movement_x": "move_x",
    "last_movement_y": "move_y",
    "last_targeted": "last_target",
    "weapon_cooldown": "cooldown",
    **{f"unit_type_bit_{i}": f"type_{i}" for i in range(6)},
    **{f"unit_type_bits_{i}": f"type_{i}" for i in range(6)},
  }
  own = [names[x] for x in inner.own_features]
  unit = [names[x] for x in inner.unit_features]
  in_state = [f"{k}/{x}" for k in range(num) for x in own]
  in_state += [f"{k}/{x}" for x in ("team", "type") for k in range(num)]
  assert _by_place(layout.state, spec.state_dim) == in_state
  # An agent's observation is of the others in their order, then of itself; positions
  # of others are relative.
  unit = [{"x": "dx", "y": "dy"}.get(x, x) for x in unit]
  for agent, table in enumerate(layout.obs):
    wanted = [f"{k}/{x}" for k in range(num) if k != agent for x in unit]
    wanted += [f"{agent}/own_{x}" for x in own]
    assert _by_place(table, spec.obs_dim) == wanted
  for points in layout.action_points:
    assert points == (-1,) * 5 + tuple(range(inner.num_allies, num))
    assert len(points) == spec.action_dim


def _by_place(table, size):
  out = [""] * size
  for unit, row in enumerate(table.index):
    for column, place in zip(table.columns, row, strict=True):
      if place >= 0:
        out[place] = f"{unit}/{column.name}"
  return out


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_present_are_those_who_are_alive_and_seen(scenario):
  spec, seen, _, units = _played(scenario)
  layout = spec.layout
  codec = typed.make([layout.state], _moments(seen.state))
  alive = units.unit_alive
  assert 0.1 < alive.mean() < 0.99
  np.testing.assert_array_equal(codec.encode(seen.state).present, alive)
  table = _table(seen.state, layout.state)
  position = table[..., [layout.state.column(x) for x in "xy"]]
  np.testing.assert_allclose(position, units.unit_positions * alive[..., None], 1e-5)
  codec = typed.make(layout.obs, _moments(seen.obs), spec.obs_mask)
  present = np.asarray(codec.encode(seen.obs).present)
  for agent in range(spec.num_agents):
    # Nobody sees the dead, nor do they see anything but that they are dead.
    both = alive & alive[..., agent, None]
    assert (present[..., agent, :] <= both).all()
    np.testing.assert_array_equal(present[..., agent, agent], alive[..., agent])
    offset = units.unit_positions - units.unit_positions[..., [agent], :]
    row = _table(seen.obs[..., agent, :], layout.obs[agent])[..., 1:3]
    there = (present[..., agent, :] > 0) & (np.arange(alive.shape[-1]) != agent)
    ratio = offset[there] / np.where(row[there] == 0, np.nan, row[there])
    sight = np.nanmedian(ratio, 0)  # one number: the agent's sight range
    np.testing.assert_allclose(row[there] * sight, offset[there], atol=2e-3)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_last_targets_point_at_who_was_aimed_at(scenario):
  spec, seen, action, units = _played(scenario)
  layout, allies = spec.layout, spec.num_agents
  column = layout.obs[0].columns[5]
  assert column.name == "last_target"
  health = units.unit_health
  codec = typed.make(layout.obs, _moments(seen.obs), spec.obs_mask)
  present = np.asarray(codec.encode(seen.obs).present)[:, 1:] > 0
  going = ~seen.last[:, :-1]
  aimed = np.zeros((*going.shape, layout.num_entities), bool)
  points = np.array(layout.action_points[0])[action]  # what agents were told, [B, T, N]
  shots = 0
  for agent in range(allies):
    rows = _table(seen.obs[:, 1:, agent], layout.obs[agent])
    for unit in range(layout.num_entities):
      if unit == agent:
        continue
      there = present[:, :, agent, unit] & going
      target = _pointed(rows, column, unit)
      if unit < allies:
        np.testing.assert_array_equal(target[there], points[..., unit][there])
      else:
        # JaxMARL counts the targets of enemies from the last ally on.
        told = units.prev_attack_actions[:, 1:, unit]
        wanted = np.where(told >= 5, allies - 1 - (told - 5), -1)
        np.testing.assert_array_equal(target[there], wanted[there])
        shots += (target[there] >= 0).sum()
      aimed |= there[..., None] & (target[..., None] == np.arange(layout.num_entities))
  assert shots > 20
  # Who lost health was aimed at by somebody who is seen, unless somebody has died.
  nobody_died = (units.unit_alive[:, 1:] == units.unit_alive[:, :-1]).all(-1)
  hurt = (health[:, 1:] < health[:, :-1] - 1e-3) & (nobody_died & going)[..., None]
  assert hurt[..., allies:].sum() > 20 and hurt[..., :allies].sum() > 20
  lone = (present.sum(2) == 1)[..., :allies]  # an ally whom nobody else sees
  seen_hurt = hurt[..., :allies] & ~lone
  assert aimed[..., :allies][seen_hurt].mean() > 0.95


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_tokens_are_all_there_is_in_a_vector(scenario):
  spec, seen, _, _ = _played(scenario)
  state = typed.make([spec.layout.state], _moments(seen.state))
  back = state.vector(state.encode(seen.state))
  np.testing.assert_allclose(back, seen.state, atol=2e-6 * np.abs(seen.state).max())
  obs = typed.make(spec.layout.obs, _moments(seen.obs), spec.obs_mask)
  np.testing.assert_allclose(obs.vector(obs.encode(seen.obs)), seen.obs, atol=1e-6)


def _moments(x):
  return moments(np.asarray(x).reshape(-1, x.shape[-1]))
