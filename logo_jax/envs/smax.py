"""SMAX, the StarCraft-like battles of JaxMARL, against its heuristic enemy.

Observations are JaxMARL's own, so that policies that were learned here play on its SMAX
as they are. States are but for `weapon_cooldown`, which falls without bound in a unit
that does not shoot and is clipped at 0 from below here; `cooldown_mask` tells where.

The team reward of a step is the fall in enemy health as a share of full health,
averaged over enemies, plus 1 for a win; a whole episode yields about 2 at most.
"""

from collections.abc import Callable
import functools
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from logo_jax import types
from logo_jax.envs import smax_layout

layout = smax_layout.layout
SCENARIOS = ("3m", "2s3z", "3s_vs_5z", "5m_vs_6m", "6h_vs_8z", "3s5z_vs_3s6z")
MAX_STEPS = 100  # time limit of an episode, in steps


def make(scenario: str) -> types.Environment:
  """Builds one battle.

  `discount` is 0 when a team is wiped out and 1 at the time limit. The state after the
  end is frozen: a further step repeats the last observation, `last` and `won` with
  reward 0.

  Args:
    scenario: one of `SCENARIOS`.

  Raises:
    ValueError: the scenario is unknown, or jax_enable_x64 is on, with which JaxMARL's
      own code fails.
    ImportError: JaxMARL is not installed.
  """
  if jnp.result_type(float) == jnp.float64:
    raise ValueError("SMAX: JaxMARL fails with jax_enable_x64; turn it off")
  if scenario not in SCENARIOS:
    raise ValueError(
      f"SMAX scenario {scenario!r} is not one of: {', '.join(SCENARIOS)}"
    )
  env = _make_jaxmarl(scenario)
  spec = types.EnvSpec(
    name=f"smax/{scenario}",
    num_agents=env.num_allies,
    obs_dim=env.obs_size,
    state_dim=env.state_size,
    action_kind="discrete",
    action_dim=env.num_ally_actions,
    max_steps=MAX_STEPS,
    layout=layout(scenario),
  )

  def reset(key: jax.Array) -> tuple[Any, types.TimeStep]:
    # JaxMARL uses keys twice in places; raw key data escape JAX's check for that.
    _, state = env.reset(jax.random.key_data(key))
    state = jax.tree.map(lambda x: x.astype(x.dtype), state)  # no weak types
    return state, _observe(env, state, jnp.zeros((), jnp.float32))

  def step(state: Any, action: jax.Array, key: jax.Array) -> tuple[Any, types.TimeStep]:
    over = _outcome(env, state)[0] | (state.state.step >= MAX_STEPS)
    actions = {agent: action[i] for i, agent in enumerate(env.agents)}
    _, moved, rewards, _, _ = env.step_env(jax.random.key_data(key), state, actions)
    # A battle that goes on after its end would pay the winners again.
    state = _where(over, state, moved)
    return state, _observe(env, state, jnp.where(over, 0.0, rewards[env.agents[0]]))

  return types.Environment(spec, reset, step)


def weaken(scenario: str) -> Callable[..., tuple[Any, types.TimeStep]]:
  """See `base.weaken`; health is seen as the share of a unit's full health."""
  env = _make_jaxmarl(scenario)

  def weaker(state: Any, first: types.TimeStep, share: jax.Array):
    del first
    battle = state.state
    enemy = jnp.arange(len(battle.unit_health)) >= env.num_allies
    health = battle.unit_health * jnp.where(enemy, share, 1.0)
    state = state.replace(state=battle.replace(unit_health=health))
    return state, _observe(env, state, jnp.zeros((), jnp.float32))

  return weaker


def resume(scenario: str) -> Callable[[jax.Array, jax.Array, jax.Array], Any]:
  """See `base.resume`.

  Units are where the state has them. An enemy's target is seen by the agent that is
  attacked. Where an enemy goes that sees nobody is not recorded: to the middle of where
  agents begin, here.
  """
  env = _make_jaxmarl(scenario)
  known = smax_layout.layout(scenario)
  assert known is not None
  agents, units = env.num_allies, env.num_allies + env.num_enemies
  column = known.obs[0].column("last_target")
  seen_at = jnp.array([table.places[agents:, column] for table in known.obs])
  _, fresh = env.reset(jax.random.key_data(jax.random.key(0)))
  whole = env.unit_type_health[fresh.state.unit_types]
  their_goal = jnp.array([env.map_width / 4, env.map_height / 2])

  def one(obs: jax.Array, state: jax.Array, time: jax.Array) -> Any:
    unit = state[: units * len(env.own_features)].reshape(units, -1)
    share, position, cooldown = unit[:, 0], unit[:, 1:3], unit[:, 3]
    battle = fresh.state.replace(
      # To whole points, in which it is lost: what is left by rounding would live on.
      unit_health=jnp.round(share * whole),
      unit_alive=share > 0,
      unit_positions=position,
      unit_weapon_cooldowns=cooldown,
      step=time,
    )
    # The last action is seen as a share of the last of them, targets after the moves.
    seen = jnp.take_along_axis(obs, seen_at, axis=1).max(axis=0)
    moves = env.num_movement_actions
    target = jnp.round(seen * (moves + agents - 1)) - moves
    target = jnp.maximum(target, -1.0)
    # At first they remember nothing, and choose a goal themselves.
    begins = (time == 0) & (target < 0)
    memory = fresh.enemy_policy_state.replace(
      last_attacked_enemy=target,
      default_target=jnp.where(begins[:, None], 0.0, their_goal),
    )
    new = fresh.replace(state=battle, enemy_policy_state=memory)
    return jax.tree.map(lambda x, old: x.astype(old.dtype), new, fresh)

  return one


def _observe(env: Any, state: Any, reward: jax.Array) -> types.TimeStep:
  """What there is to see of a state, reached with `reward`."""
  terminated, won = _outcome(env, state)
  local, legal = env.get_obs(state), env.get_avail_actions(state)
  world = env.get_world_state(state)
  return types.TimeStep(
    obs=jnp.stack([local[agent] for agent in env.agents]),
    state=jnp.where(cooldown_mask(env), jnp.maximum(world, 0.0), world),
    legal=jnp.stack([legal[agent] for agent in env.agents]).astype(bool),
    reward=reward,
    discount=1.0 - terminated.astype(jnp.float32),
    last=terminated | (state.state.step >= MAX_STEPS),
    won=won,
  )


def _outcome(env: Any, state: Any) -> tuple[jax.Array, jax.Array]:
  """Whether a team is wiped out, and whether the allies have won."""
  allies = jnp.any(state.state.unit_alive[: env.num_allies])
  enemies = jnp.any(state.state.unit_alive[env.num_allies :])
  return ~(allies & enemies), allies & ~enemies


def _where(condition: jax.Array, old: Any, new: Any) -> Any:
  """Selects `old` where the condition holds; the types of `old` are kept."""
  return jax.tree.map(lambda x, y: jnp.where(condition, x, y.astype(x.dtype)), old, new)


def cooldown_mask(env: Any) -> jax.Array:
  """Where weapon cooldowns stand in a state, bool `[S]`.

  They fall without bound in a unit that does not shoot; below 0 means the same as 0.

  Args:
    env: JaxMARL's.
  """
  own = [name == "weapon_cooldown" for name in env.own_features]
  units = env.num_allies + env.num_enemies
  # After the units' features come the teams and the types of all.
  return jnp.array(own * units + [False] * (2 * units))


def _make_jaxmarl(scenario: str) -> Any:
  """Imports JaxMARL's SMAX and builds the environment."""
  if importlib.util.find_spec("jaxmarl") is None:
    raise ImportError("SMAX needs JaxMARL: pip install 'logo_jax[smax]'")
  env, enemy = _import_smax()
  return enemy.HeuristicEnemySMAX(
    scenario=env.map_name_to_scenario(scenario), max_steps=MAX_STEPS
  )


@functools.cache
def _import_smax() -> tuple[ModuleType, ModuleType]:
  """JaxMARL's SMAX without its other games, which take seconds to import.

  Its packages import them all. Where nobody has imported these yet, they are bare
  folders meanwhile, and everything of them is let go again: whoever imports JaxMARL
  later gets all of it, and these modules stay this one's own.
  """
  unknown = not _imported_jaxmarl()
  try:
    if unknown:
      for name in ("jaxmarl", "jaxmarl.environments"):
        sys.modules[name] = _bare_package(name)
    smax = "jaxmarl.environments.smax"
    env = importlib.import_module(f"{smax}.smax_env")
    return env, importlib.import_module(f"{smax}.heuristic_enemy_smax_env")
  finally:
    if unknown:
      for name in _imported_jaxmarl():
        del sys.modules[name]


def _imported_jaxmarl() -> list[str]:
  """Names of what has been imported of JaxMARL."""
  return [name for name in sys.modules if name.partition(".")[0] == "jaxmarl"]


def _bare_package(name: str) -> ModuleType:
  """A package whose modules can be imported, and of which nothing has been run."""
  spec = importlib.util.find_spec(name)
  if spec is None:
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
  package = ModuleType(name)
  package.__path__ = list(spec.submodule_search_locations or ())
  return package
