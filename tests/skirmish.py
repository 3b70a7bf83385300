"""A tiny battle whose vectors split into entities, for networks that read them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.data import dataset
from logo_jax.layout import Column, Layout, Table
from logo_jax.types import Environment, EnvSpec, TimeStep
from tests import toys

MAX_STEPS, AGENTS, ENTITIES = 8, 2, 4
_SEEN = ("health", "dx", "hurt", "target")
_TARGETS = ((0.0, 0.5, 1.0),)  # nobody, and the first and second of the other side


def _observed(agent: int) -> Table:
  columns = (
    Column("health"),
    Column("dx", axis=0),
    Column("hurt", "binary"),
    Column(
      "target",
      "categorical",
      _TARGETS,
      ((-1, 2, 3), (-1, 2, 3), (-1, 0, 1), (-1, 0, 1)),
    ),
    Column("own_health"),
    Column("own_x"),
  )
  others = [k for k in range(ENTITIES) if k != agent]
  index = []
  for k in range(ENTITIES):
    if k == agent:
      index.append((-1,) * 4 + (12, 13))
    else:
      first = 4 * others.index(k)
      index.append((*range(first, first + 4), -1, -1))
  return Table(columns, tuple(index), ("health", "own_health"))


LAYOUT = Layout(
  num_entities=ENTITIES,
  state=Table(
    columns=(Column("health"), Column("x", axis=0), Column("team", "constant")),
    index=tuple((k, 4 + k, 8 + k) for k in range(ENTITIES)),
    presence=("health",),
  ),
  obs=tuple(_observed(i) for i in range(AGENTS)),
  agents=((0,), (1,)),
  action_points=((-1, -1, 2, 3),) * AGENTS,
)
SPEC = EnvSpec("toy/skirmish", AGENTS, 14, 12, "discrete", 4, MAX_STEPS, (), LAYOUT)
_TEAM = jnp.array([1.0, 1.0, -1.0, -1.0])


def skirmish() -> Environment:
  """Two agents on a line against two enemies that stand still.

  Actions: stay, a quarter to the right, hit the first enemy, hit the second. A hit
  takes half of an enemy's health. Each enemy alive takes a quarter from the agent
  alive that is furthest to the right, the first one of two. All that is known of the
  dead is 0, and they see nothing. The team earns the health it takes and 1 for the
  win; one side's death ends the episode. Everything but the start is certain.
  """

  def show(state, reward) -> TimeStep:
    health, x, target, step = state
    alive = health > 0
    vector = jnp.concatenate([health, x * alive, _TEAM * alive])
    seen = jnp.stack([health, jnp.zeros(4), (health < 1) * 1.0, target / 2], -1)
    rows = []
    for i in range(AGENTS):
      others = np.array([k for k in range(ENTITIES) if k != i])
      row = seen.at[:, 1].set(x - x[i])[others] * alive[others, None]
      rows.append(jnp.concatenate([row.ravel(), jnp.stack([health[i], x[i]])]))
    able = alive[:AGENTS, None]
    legal = jnp.concatenate(
      [jnp.ones((2, 1), bool), able & (x[:AGENTS, None] < 1), able & alive[AGENTS:]], -1
    )
    won = ~alive[AGENTS:].any()
    over = won | ~alive[:AGENTS].any()
    obs = jnp.where(able, jnp.stack(rows), 0.0)
    last = over | (step >= MAX_STEPS)
    return TimeStep(obs, vector, legal, reward + won, 1.0 - over, last, won)

  def reset(key):
    x = jax.random.randint(key, (ENTITIES,), 0, 5) / 4
    state = (jnp.ones(ENTITIES), x, jnp.zeros(ENTITIES), jnp.int32(0))
    return state, show(state, jnp.float32(0.0))

  def step(state, action, key):
    del key
    health, x, _, count = state
    alive = health > 0
    moved = jnp.minimum(x.at[:AGENTS].add(0.25 * (action == 1)), 1.0)
    hits = jax.nn.one_hot(action - 2, 2) * alive[:AGENTS, None]
    foremost = jnp.argmax(jnp.where(alive[:AGENTS], moved[:AGENTS], -1.0))
    blows = jax.nn.one_hot(foremost, AGENTS) * alive[AGENTS:].sum()
    loss = jnp.concatenate([0.25 * blows, 0.5 * hits.sum(0)])
    after = jnp.maximum(health - loss, 0.0)
    aimed = jnp.where(action >= 2, action - 1, 0) * 1.0
    target = jnp.concatenate([aimed, jnp.full(2, 1.0 + foremost)])
    reward = (health - after)[AGENTS:].sum()
    state = (after, moved, target * (after > 0), count + 1)
    return state, show(state, reward)

  return Environment(SPEC, reset, step)


def load(num_episodes: int = 300, seed: int = 0) -> dataset.LoadedDataset:
  """Random play, with the layout."""
  loaded = dataset.load(toys.random_play(skirmish(), num_episodes, seed))
  return dataclasses.replace(loaded, spec=SPEC)
