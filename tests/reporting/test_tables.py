"""Tables, against what they should look like."""

import math

import pytest

from logo_jax.reporting import results, tables

ROWS = [
  {"system": "logo", "return": (18.234, 1.2), "wins": 0.981, "steps": 50000},
  {"system": "a|b", "return": (9.1, math.nan), "steps": 200, "done": True},
]


def test_text_table():
  assert tables.text_table(ROWS).splitlines() == [
    "system        return  wins  steps  done",
    "------  ------------  ----  -----  ----",
    "logo    18.23 ± 1.20  0.98  50000  –",
    "a|b             9.10     –    200  yes",
  ]


def test_markdown_table():
  assert tables.markdown_table(ROWS, ["system", "return"]).splitlines() == [
    "| system |       return |",
    "| ------ | -----------: |",
    "| logo   | 18.23 ± 1.20 |",
    "| a\\|b   |         9.10 |",
  ]


def test_digits():
  assert tables.format_mean_ci(1.23456, 0.5, digits=3) == "1.235 ± 0.500"
  assert tables.format_mean_ci(1.23456, None) == "1.23"
  assert tables.text_table([{"x": 1.26}], digits=1).endswith("1.3")


def test_no_rows_still_have_a_header():
  assert tables.text_table([], ["a", "b"]).splitlines()[0] == "a  b"


def test_unknown_column_is_named():
  with pytest.raises(
    ValueError, match="column: 'x' is not allowed; use system, return"
  ):
    tables.text_table(ROWS, ["x"])


def test_a_games_table_has_no_column_of_wins():
  """Where nothing can be won; with wins they stand between return and episodes."""
  played = {"return_mean": 1.0, "return_ci95": 0.1, "episodes": 8}
  assert list(results.row("bc", played)) == ["system", "return", "episodes"]
  played |= {"win_rate": 0.5, "win_rate_ci95": [0.4, 0.6]}
  assert list(results.row("bc", played))[2] == "win rate"
