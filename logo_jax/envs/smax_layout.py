"""How the vectors of SMAX split into units; as JaxMARL's `smax_env.py` puts them."""

from logo_jax.layout import Column, Layout, Table

# Scenario -> numbers of allies and enemies.
_UNITS = {
  "3m": (3, 3),
  "2s3z": (5, 5),
  "3s_vs_5z": (3, 5),
  "5m_vs_6m": (5, 6),
  "6h_vs_8z": (6, 8),
  "3s5z_vs_3s6z": (8, 9),
}
_MOVES = 5  # actions before the attacks: four moves and stop
_TYPES = tuple(Column(f"type_{i}", "constant") for i in range(6))
_POSITION = (Column("x", axis=0), Column("y", axis=1))
_OWN = (Column("health"), *_POSITION, Column("cooldown"), *_TYPES)


def layout(scenario: str) -> Layout | None:
  """The units of a scenario, allies first; None if it is unknown.

  The state has ten features of each unit, then all teams, then all types. An agent
  observes thirteen of each other unit, then ten of its own.
  """
  if scenario not in _UNITS:
    return None
  allies, enemies = _UNITS[scenario]
  units = allies + enemies
  own = len(_OWN)
  state = Table(
    columns=(*_OWN, Column("team", "constant"), Column("type", "constant")),
    index=tuple(
      (*range(own * i, own * (i + 1)), own * units + i, (own + 1) * units + i)
      for i in range(units)
    ),
    presence=("health",),
  )
  attacks = tuple(range(allies, units))
  return Layout(
    num_entities=units,
    state=state,
    obs=tuple(_observed(i, allies, enemies) for i in range(allies)),
    agents=tuple((i,) for i in range(allies)),
    action_points=((-1,) * _MOVES + attacks,) * allies,
  )


def _observed(agent: int, allies: int, enemies: int) -> Table:
  units = allies + enemies
  # Not constant: an observer's place for a unit is another observer's for the next.
  types = tuple(Column(c.name, "binary") for c in _TYPES)
  # The last action as a number: a share of the last of them; moves count as 0. Enemies
  # number their targets backwards.
  values = tuple((0.0, *_last(enemies)) for _ in range(allies))
  values += tuple((0.0, *_last(allies)) for _ in range(enemies))
  points = tuple((-1, *range(allies, units)) for _ in range(allies))
  points += tuple((-1, *reversed(range(allies))) for _ in range(enemies))
  seen = (
    Column("health"),
    # Where the unit is relative to the observer.
    Column("dx"),
    Column("dy"),
    Column("move_x", "categorical", ((-1.0, 0.0, 1.0),)),
    Column("move_y", "categorical", ((-1.0, 0.0, 1.0),)),
    Column("last_target", "categorical", values, points),
    Column("cooldown"),
    *types,
  )
  # In units of their own: positions are shares of the map.
  own = tuple(Column(f"own_{c.name}", c.kind) for c in (*_OWN[:4], *types))
  rows = []
  for unit in range(units):
    if unit == agent:
      start = len(seen) * (units - 1)
      rows.append((-1,) * len(seen) + tuple(range(start, start + len(own))))
    else:
      start = len(seen) * (unit - (unit > agent))
      rows.append(tuple(range(start, start + len(seen))) + (-1,) * len(own))
  return Table((*seen, *own), tuple(rows), presence=("health", "own_health"))


def _last(targets: int) -> tuple[float, ...]:
  last = _MOVES + targets - 1
  return tuple((_MOVES + target) / last for target in range(targets))
