"""How flat observations and states split into entities.

Units of a battle, joints of a robot, items on a shelf: a vector of features is a table
with a row for each entity. Networks that read tables see what entities have in common
and how they act on one another, whatever the game; nothing in them knows it by name.

Everything here is static and hashable: tuples of Python numbers, arrays on demand.
"""

import dataclasses
import functools
from typing import Literal

import numpy as np

Kind = Literal["continuous", "binary", "categorical", "constant"]


@dataclasses.dataclass(frozen=True)
class Column:
  """A feature that several entities have; its units are the environment's."""

  name: str
  # "constant": one value wherever the entity is there, in all episodes.
  kind: Kind = "continuous"
  # Of a categorical feature: its values, of each entity, or one row for all.
  values: tuple[tuple[float, ...], ...] = ()
  # The entity at which each of these values points, -1 for none: the last target of a
  # unit, for example. Empty: none does.
  points: tuple[tuple[int, ...], ...] = ()
  # Of a position: its axis. Networks read differences of positions and distances.
  axis: int | None = None
  # Whether all entities have a continuous feature in the same range. Joints do not:
  # some hardly bend, and their angles would be lost in the range of the others.
  shared: bool = True

  def padded_values(self, num_entities: int) -> np.ndarray:
    """float32 `[E, V]`; an entity that knows fewer values has NaN for the others."""
    return _padded(self.values, num_entities, np.nan).astype(np.float32)

  def padded_points(self, num_entities: int) -> np.ndarray:
    """int `[E, V]`, -1 where a value points at nothing."""
    return _padded(self.points, num_entities, -1).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Table:
  """A flat vector as entities times columns."""

  columns: tuple[Column, ...]
  # [E][columns]: place in the flat vector, -1 where an entity has no such feature.
  index: tuple[tuple[int, ...], ...]
  # A column that is above 0 exactly where its entity is there: elsewhere all that
  # varies in the row is 0. Several, where entities differ in their columns. Empty: all
  # are always there.
  presence: tuple[str, ...] = ()

  @functools.cached_property
  def places(self) -> np.ndarray:
    """int `[E, columns]`, `index` as an array."""
    return np.array(self.index, np.int64)

  def column(self, name: str) -> int:
    """The number of a column."""
    return [column.name for column in self.columns].index(name)


@dataclasses.dataclass(frozen=True)
class Layout:
  """The entities of an environment, with the same rows in every table."""

  num_entities: int
  state: Table
  obs: tuple[Table, ...]  # of each agent; the same columns in all
  agents: tuple[tuple[int, ...], ...]  # the entities that belong to each agent
  # [N][A]: the entity at which an agent's action points, -1 for none: the target of an
  # attack, or the joint that a continuous action drives.
  action_points: tuple[tuple[int, ...], ...]

  @functools.cached_property
  def owners(self) -> np.ndarray:
    """float32 `[N, E]`, 1 where an entity belongs to an agent."""
    owners = np.zeros((len(self.agents), self.num_entities), np.float32)
    for agent, own in enumerate(self.agents):
      owners[agent, list(own)] = 1.0
    return owners

  @functools.cached_property
  def agents_alike(self) -> bool:
    """Whether a place of an observation means the same to every agent.

    It does if it has the same column for all. Where a column's range depends on the
    entity, as joints' do, it must be of the same entity, too.
    """

    def meanings(table: Table) -> dict[int, tuple[int, int]]:
      return {
        place: (c, -1 if column.shared else entity)
        for entity, row in enumerate(table.index)
        for c, (place, column) in enumerate(zip(row, table.columns, strict=True))
        if place >= 0
      }

    return all(meanings(table) == meanings(self.obs[0]) for table in self.obs)

  def check(self, obs_sizes: tuple[int, ...], state_dim: int) -> None:
    """Refuses tables that leave out or repeat a feature.

    Args:
      obs_sizes: of each agent's observation, without padding.
      state_dim: of the state.

    Raises:
      ValueError: naming the table.
    """
    _check_table("state", self.state, self.num_entities, state_dim)
    if len(self.obs) != len(obs_sizes):
      raise ValueError(
        f"layout.obs: needs a table for each of {len(obs_sizes)} agents, got "
        f"{len(self.obs)}"
      )
    for i, (table, size) in enumerate(zip(self.obs, obs_sizes, strict=True)):
      _check_table(f"obs[{i}]", table, self.num_entities, size)
      if table.columns != self.obs[0].columns:
        raise ValueError(f"layout.obs[{i}]: needs the same columns as obs[0]")


def _check_table(name: str, table: Table, num_entities: int, size: int) -> None:
  if table.places.shape != (num_entities, len(table.columns)):
    raise ValueError(
      f"layout.{name}.index: must be {num_entities} entities x {len(table.columns)} "
      f"columns, got {table.places.shape}"
    )
  used = np.sort(table.places[table.places >= 0])
  if not np.array_equal(used, np.arange(size)):
    raise ValueError(
      f"layout.{name}.index: must name each of {size} features once, got "
      f"{used.tolist()}"
    )
  names = [column.name for column in table.columns]
  for wanted in table.presence:
    if wanted not in names:
      raise ValueError(
        f"layout.{name}.presence: must be among {', '.join(names)}; got {wanted!r}"
      )


def _padded(rows: tuple[tuple, ...], num_entities: int, fill: float) -> np.ndarray:
  rows = rows * num_entities if len(rows) == 1 else rows
  width = max(map(len, rows))
  return np.array([[*row, *[fill] * (width - len(row))] for row in rows], float)
