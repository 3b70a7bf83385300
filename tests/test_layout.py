"""Layouts: what is refused, and their padded arrays."""

import dataclasses

import numpy as np
import pytest

from logo_jax.envs import mamujoco_layout, smax_layout
from logo_jax.layout import Column, Layout, Table

_COLUMNS = (Column("health"), Column("speed"))
_STATE = Table(_COLUMNS, ((0, 1), (2, -1)), ("health",))
_OBS = Table(_COLUMNS, ((0, -1), (1, 2)))
_LAYOUT = Layout(2, _STATE, (_OBS, _OBS), ((0,), (1,)), ((-1, 0), (-1, 0)))


def test_a_layout_that_names_every_feature_once_is_accepted():
  _LAYOUT.check((3, 3), 3)


def _with_obs(table: Table) -> Layout:
  return dataclasses.replace(_LAYOUT, obs=(_OBS, table))


@pytest.mark.parametrize(
  ("layout", "message"),
  [
    (
      dataclasses.replace(
        _LAYOUT, state=dataclasses.replace(_STATE, index=((0, 1), (1, -1)))
      ),
      r"layout\.state\.index: must name each of 3 features once, got \[0, 1, 1\]",
    ),
    (
      dataclasses.replace(
        _LAYOUT, state=dataclasses.replace(_STATE, index=((0, 1), (-1, -1)))
      ),
      r"layout\.state\.index: must name each of 3 features once, got \[0, 1\]",
    ),
    (
      dataclasses.replace(_LAYOUT, state=dataclasses.replace(_STATE, index=((0, 1),))),
      r"layout\.state\.index: must be 2 entities x 2 columns, got \(1, 2\)",
    ),
    (
      dataclasses.replace(
        _LAYOUT, state=dataclasses.replace(_STATE, presence=("shield",))
      ),
      r"layout\.state\.presence: must be among health, speed; got 'shield'",
    ),
    (
      dataclasses.replace(_LAYOUT, obs=(_OBS,)),
      r"layout\.obs: needs a table for each of 2 agents, got 1",
    ),
    (
      _with_obs(dataclasses.replace(_OBS, index=((0, 1), (1, 2)))),
      r"layout\.obs\[1\]\.index: must name each of 3 features once, got \[0, 1, 1, 2\]",
    ),
    (
      _with_obs(dataclasses.replace(_OBS, columns=(Column("health"), Column("x")))),
      r"layout\.obs\[1\]: needs the same columns as obs\[0\]",
    ),
  ],
)
def test_errors_name_the_table(layout, message):
  with pytest.raises(ValueError, match=message):
    layout.check((3, 3), 3)


def test_values_of_each_entity_are_padded_with_what_none_has():
  column = Column("target", "categorical", ((0.0, 1.0, 2.0), (0.0,)), ((-1, 1), (-1,)))
  values = column.padded_values(2)
  assert values.dtype == np.float32
  np.testing.assert_array_equal(values, [[0, 1, 2], [0, np.nan, np.nan]])
  np.testing.assert_array_equal(column.padded_points(2), [[-1, 1], [-1, -1]])
  everybody = Column("move", "categorical", ((-1.0, 1.0),))
  np.testing.assert_array_equal(everybody.padded_values(3), [[-1, 1]] * 3)


def test_columns_have_numbers():
  assert _STATE.column("speed") == 1
  np.testing.assert_array_equal(_STATE.places, [[0, 1], [2, -1]])


def test_agents_are_alike_where_places_mean_the_same():
  seen = Table(_COLUMNS, ((0, -1), (1, 2)))
  swapped = Table(_COLUMNS, ((1, 2), (0, -1)))  # of another unit, the same column
  assert dataclasses.replace(_LAYOUT, obs=(seen, swapped)).agents_alike
  other_column = Table(_COLUMNS, ((0, 1), (2, -1)))
  assert not dataclasses.replace(_LAYOUT, obs=(seen, other_column)).agents_alike
  # A joint's angle has a range of its own.
  own = tuple(dataclasses.replace(c, shared=False) for c in _COLUMNS)
  joints = tuple(dataclasses.replace(t, columns=own) for t in (seen, swapped))
  assert not dataclasses.replace(_LAYOUT, obs=joints).agents_alike


@pytest.mark.parametrize(
  ("scenario", "alike"),
  [("hopper-3x1", False), ("ant-2x4", False), ("hopper-3x1-full", True)],
)
def test_robots_agents_are_unlike_unless_they_see_all(scenario, alike):
  layout = mamujoco_layout.layout(scenario)
  assert layout is not None and layout.agents_alike == alike


def test_units_are_alike():
  layout = smax_layout.layout("2s3z")
  assert layout is not None and layout.agents_alike
