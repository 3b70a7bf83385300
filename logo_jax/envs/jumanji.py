"""Grid games of Jumanji: warehouse robots, level-based foraging and connecting pairs.

Jumanji has no global state for them: here it is the agents' observations side by side.
The team reward is the sum of the agents' rewards where the game pays them apart.

- `rware-*`, RobotWarehouse: +1 for each requested shelf delivered; a collision is the
  end. Observations are Jumanji's: a robot's cell, load, direction, and the 3 x 3 cells
  around it.
- `lbf-*`, LevelBasedForaging: food pays its share of all food's levels, 1 in total; the
  end is when all is eaten. Observations are Jumanji's: cell and level of each food and
  agent, (-1, -1, 0) for what is out of sight.
- `connector-*`, Connector: +1 for each pair connected, and -0.03 a step for each that
  was not before it; the end is when all are connected or blocked. An agent sees the
  whole grid as six indicators per cell: its own path, head and target, then those of
  all others.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax import types
from logo_jax.envs import jumanji_layout

layout = jumanji_layout.layout
# Arguments of each game's generator; the names and sizes are those of published work.
_RWARE: dict[str, dict[str, int]] = {
  "tiny-2ag": {"shelf_rows": 1, "num_agents": 2, "request_queue_size": 2},
  "tiny-4ag": {"shelf_rows": 1, "num_agents": 4, "request_queue_size": 4},
  "small-4ag": {"shelf_rows": 2, "num_agents": 4, "request_queue_size": 4},
}
_LBF: dict[str, dict[str, Any]] = {
  "8x8-2p-2f-coop": {
    "grid_size": 8,
    "fov": 8,
    "num_agents": 2,
    "num_food": 2,
    "force_coop": True,
  },
  "2s-8x8-2p-2f-coop": {  # sees two cells far
    "grid_size": 8,
    "fov": 2,
    "num_agents": 2,
    "num_food": 2,
    "force_coop": True,
  },
  "15x15-4p-5f": {"grid_size": 15, "fov": 15, "num_agents": 4, "num_food": 5},
}
_CONNECTOR: dict[str, dict[str, int]] = {
  "5x5x3a": {"grid_size": 5, "num_agents": 3},
  "7x7x5a": {"grid_size": 7, "num_agents": 5},
}
SCENARIOS = (
  *(f"rware-{name}" for name in _RWARE),
  *(f"lbf-{name}" for name in _LBF),
  *(f"connector-{name}" for name in _CONNECTOR),
)
_NOOP = 0  # in all three games


def has_wins(scenario: str) -> bool:
  """Whether a game can be won; in a warehouse there is always more to deliver."""
  return not scenario.startswith("rware-")


class _Game(NamedTuple):
  """A game of Jumanji, which is told of a time limit that it never reaches."""

  env: Any
  max_steps: int
  num_actions: int
  observe: Callable[[Any], jax.Array]  # Jumanji's observation -> [N, O]
  won: Callable[[Any], jax.Array]  # Jumanji's time step at the end -> bool


class _State(NamedTuple):
  inner: Any  # of Jumanji
  step: jax.Array
  timestep: types.TimeStep  # what was shown last


def make(scenario: str) -> types.Environment:
  """Builds one game.

  `discount` is 0 where the game itself ends and 1 at the time limit. The state after
  the end is frozen: a further step repeats the last observation, `last` and `won` with
  reward 0.

  Args:
    scenario: one of `SCENARIOS`.

  Raises:
    ValueError: the scenario is unknown.
    ImportError: Jumanji is not installed.
  """
  if scenario not in SCENARIOS:
    raise ValueError(
      f"Jumanji scenario {scenario!r} is not one of: {', '.join(SCENARIOS)}"
    )
  game = _make_game(scenario)

  def reset(key: jax.Array) -> tuple[_State, types.TimeStep]:
    # Jumanji splits a key of its state; raw key data escape JAX's check of their use.
    inner, shown = game.env.reset(jax.random.key_data(key))
    state = _State(_without_key(inner), jnp.zeros((), jnp.int32), _show(game, shown))
    state = jax.tree.map(lambda x: x.astype(x.dtype), state)  # no weak types
    return state, state.timestep

  def step(
    state: _State, action: jax.Array, key: jax.Array
  ) -> tuple[_State, types.TimeStep]:
    inner = state.inner.replace(key=jax.random.key_data(key))
    inner, shown = game.env.step(inner, action)
    count, timestep = state.step + 1, _show(game, shown)
    last = timestep.last | (count >= game.max_steps)
    moved = _State(_without_key(inner), count, timestep._replace(last=last))
    state = _where(state.timestep.last, _paid(state), moved)
    return state, state.timestep

  num_agents, obs_dim = jax.eval_shape(reset, jax.random.key(0))[1].obs.shape
  spec = types.EnvSpec(
    name=f"jumanji/{scenario}",
    num_agents=num_agents,
    obs_dim=obs_dim,
    state_dim=num_agents * obs_dim,
    action_kind="discrete",
    action_dim=game.num_actions,
    max_steps=game.max_steps,
    layout=layout(scenario),
  )
  return types.Environment(spec, reset, step)


def _show(game: _Game, shown: Any) -> types.TimeStep:
  """What Jumanji's time step shows; the time limit is not Jumanji's affair."""
  ended = shown.last()
  obs = game.observe(shown.observation)
  legal = shown.observation.action_mask.astype(bool)
  nothing = ~legal.any(-1)
  return types.TimeStep(
    obs=obs,
    state=obs.reshape(-1),
    legal=legal.at[:, _NOOP].set(legal[:, _NOOP] | nothing),
    reward=jnp.sum(shown.reward).astype(jnp.float32),
    discount=1.0 - ended.astype(jnp.float32),
    last=ended,
    won=ended & game.won(shown),
  )


def _without_key(inner: Any) -> Any:
  """Jumanji's state without its key: chance comes from the key of each step."""
  return inner.replace(key=jnp.zeros_like(inner.key))


def _paid(state: _State) -> _State:
  """The same state, its reward paid out."""
  timestep = state.timestep._replace(reward=jnp.zeros((), jnp.float32))
  return state._replace(timestep=timestep)


def _where(condition: jax.Array, old: Any, new: Any) -> Any:
  """Selects `old` where the condition holds; the types of `old` are kept."""
  return jax.tree.map(lambda x, y: jnp.where(condition, x, y.astype(x.dtype)), old, new)


def _make_game(scenario: str) -> _Game:
  """Imports Jumanji and builds its environment."""
  kind, _, size = scenario.partition("-")
  try:
    return {"rware": _rware, "lbf": _lbf, "connector": _connector}[kind](size)
  except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "jumanji":
      raise
    raise ImportError(
      "these games need Jumanji: pip install 'logo_jax[jumanji]'"
    ) from error


def _rware(size: str) -> _Game:
  from jumanji.environments.routing.robot_warehouse import env, generator

  sizes = {"shelf_columns": 3, "column_height": 8, "sensor_range": 1} | _RWARE[size]
  return _Game(
    env=env.RobotWarehouse(generator.RandomGenerator(**sizes), time_limit=501),
    max_steps=500,
    num_actions=5,
    observe=lambda seen: seen.agents_view.astype(jnp.float32),
    won=lambda shown: jnp.zeros((), bool),
  )


def _lbf(size: str) -> _Game:
  from jumanji.environments.routing.lbf import env, generator

  return _Game(
    env=env.LevelBasedForaging(
      generator.RandomGenerator(max_agent_level=2, **_LBF[size]), time_limit=101
    ),
    max_steps=100,
    num_actions=6,
    observe=lambda seen: seen.agents_view.astype(jnp.float32),
    won=lambda shown: shown.last(),
  )


def _connector(size: str) -> _Game:
  from jumanji.environments.routing.connector import env, generator

  sizes = _CONNECTOR[size]
  n = sizes["num_agents"]
  return _Game(
    env=env.Connector(generator.RandomWalkGenerator(**sizes), time_limit=51),
    max_steps=50,
    num_actions=5,
    observe=lambda seen: _indicators(seen.grid, n),
    won=lambda shown: shown.extras["num_connections"] == n,
  )


def _indicators(grid: jax.Array, num_agents: int) -> jax.Array:
  """What each agent sees of Connector's grid.

  Args:
    grid: int `[G, G]`; 0 is empty, 1 + 3 i + k is the path, head or target (k = 0, 1,
      2) of agent i.
    num_agents: N of them.

  Returns:
    float32 `[N, 6 G G]`: path, head and target of its own, then of the others.
  """
  owner, kind = (grid - 1) // 3, (grid - 1) % 3
  kinds = (kind == jnp.arange(3)[:, None, None]) & (grid > 0)
  own = (owner == jnp.arange(num_agents)[:, None, None])[:, None]
  seen = jnp.concatenate([kinds & own, kinds & ~own], axis=1)
  return seen.reshape(num_agents, -1).astype(jnp.float32)
