"""How the vectors of Jumanji's games split into agents and items."""

from logo_jax.layout import Column, Layout, Table

# Scenario -> the number of robots.
_RWARE = {"rware-tiny-2ag": 2, "rware-tiny-4ag": 4, "rware-small-4ag": 4}
# Scenario -> numbers of agents and of foods, and whether agents see the whole grid.
_LBF = {
  "lbf-8x8-2p-2f-coop": (2, 2, True),
  "lbf-2s-8x8-2p-2f-coop": (2, 2, False),
  "lbf-15x15-4p-5f": (4, 5, True),
}
_RWARE_MOVES = 5  # no action points at anybody
_LBF_MOVES = 6
_AGENT_LEVEL = 2  # the highest
_HELPERS = 3  # agents whose levels together a food has at most


def layout(scenario: str) -> Layout | None:
  """The agents of a scenario, then its items; None if there is no layout.

  The state is the agents' observations side by side.

  - RobotWarehouse: the robots. A robot's row is what it observes: itself, and what
    stands in the cells around it. Shelves are seen without their names, by where they
    are relative to a robot; hence they are no entities.
  - LevelBasedForaging: agents, then foods, each with a cell and a level; in the state
    once for each observer. What is out of sight or eaten stands at (-1, -1) with level
    0; as that is no row of zeros, all count as always there.
  - Connector: None. An agent sees the grid and nothing but the grid; paths grow across
    it, so that no feature belongs to one agent or item.
  """
  if scenario in _RWARE:
    return _rware(_RWARE[scenario])
  if scenario in _LBF:
    return _lbf(*_LBF[scenario])
  return None


def _rware(num_agents: int) -> Layout:
  cells = [f"{row}_{column}" for row in range(3) for column in range(3)]
  headings = tuple(f"heading_{i}" for i in range(4))
  others = [
    f"{name}_at_{cell}"
    for cell in cells
    if cell != "1_1"  # the robot's own
    for name in ("robot", *headings)
  ]
  shelves = [f"{name}_at_{cell}" for cell in cells for name in ("shelf", "requested")]
  binary = ("loaded", *headings, "on_highway", *others, *shelves)
  columns = (
    Column("x", axis=0),
    Column("y", axis=1),
    *(Column(name, "binary") for name in binary),
  )
  size = len(columns)
  own, none = tuple(range(size)), (-1,) * size
  robots = range(num_agents)
  return Layout(
    num_entities=num_agents,
    state=Table(columns, tuple(tuple(size * i + k for k in own) for i in robots)),
    obs=tuple(
      Table(columns, tuple(own if i == k else none for k in robots)) for i in robots
    ),
    agents=tuple((i,) for i in robots),
    action_points=((-1,) * _RWARE_MOVES,) * num_agents,
  )


def _lbf(num_agents: int, num_food: int, sees_all: bool) -> Layout:
  entities = num_agents + num_food
  levels = _levels(num_agents, num_food)
  # An observation has the foods first, then the observer, then the others.
  rows = []
  for i in range(num_agents):
    order = [i, *(k for k in range(num_agents) if k != i)]
    place = {k: num_food + at for at, k in enumerate(order)}
    place |= {num_agents + k: k for k in range(num_food)}
    starts = [3 * place[e] for e in range(entities)]
    rows.append(tuple((s, s + 1, s + 2) for s in starts))
  columns: list[Column] = []
  for i in range(num_agents):
    # Who sees all counts cells from the corner of the grid, as all others do: one of
    # them is enough to say who stands where. Else from the corner of what it sees.
    axes = (0, 1) if sees_all and i == 0 else (None, None)
    columns += [Column(f"x_{i}", axis=axes[0]), Column(f"y_{i}", axis=axes[1])]
    columns.append(Column(f"level_{i}", "categorical", levels))
  state = tuple(
    tuple(3 * entities * i + k for i, row in enumerate(rows) for k in row[e])
    for e in range(entities)
  )
  seen = (Column("x"), Column("y"), Column("level", "categorical", levels))
  return Layout(
    num_entities=entities,
    state=Table(tuple(columns), state),
    obs=tuple(Table(seen, row) for row in rows),
    agents=tuple((i,) for i in range(num_agents)),
    action_points=((-1,) * _LBF_MOVES,) * num_agents,
  )


def _levels(num_agents: int, num_food: int) -> tuple[tuple[float, ...], ...]:
  """The levels of each agent and food, 0 for what is not seen."""
  highest = _AGENT_LEVEL * min(num_agents, _HELPERS)
  agent = tuple(float(k) for k in range(_AGENT_LEVEL + 1))
  food = tuple(float(k) for k in range(highest + 1))
  return (agent,) * num_agents + (food,) * num_food
