"""Figures over many datasets, worked out by hand."""

import numpy as np
import pytest

from logo_jax.reporting import aggregates
from tests.reporting.test_records import record


def test_interquartile_means():
  assert aggregates.iqm(np.array([[0.0, 1.0], [2.0, 100.0]])) == 1.5
  # A quarter of six is one and a half: one falls at each end.
  assert aggregates.iqm(np.array([[9.0, 1.0, 2.0], [3.0, 4.0, -5.0]])) == 2.5


def test_profiles():
  scores = np.array([[0.0, 0.5], [0.5, 1.0]])
  found = aggregates.profile(scores, np.array([-1.0, 0.0, 0.5, 1.0]))
  np.testing.assert_array_equal(found, [1.0, 0.75, 0.25, 0.0])


def test_probability_of_improvement():
  x = np.array([[1.0, 0.0], [3.0, 0.0]])
  y = np.array([[2.0, 0.0]])
  # First task: one of two pairs; second: all equal.
  assert aggregates.probability_of_improvement(x, y) == 0.5
  assert aggregates.probability_of_improvement(x + 2, y) == 1.0
  with pytest.raises(ValueError, match="of 2 tasks and of 1"):
    aggregates.probability_of_improvement(x, y[:, :1])


def test_the_bootstrap_is_stratified():
  # Seeds of a task are alike: whatever is drawn, the mean is the same, though tasks
  # are far apart.
  scores = np.array([[0.0, 10.0], [0.0, 10.0]])
  assert aggregates.bootstrap_ci95(np.mean, scores, repeats=50) == (5.0, 5.0)
  low, high = aggregates.bootstrap_ci95(np.mean, np.array([[0.0], [1.0]]), repeats=500)
  assert (low, high) == (0.0, 1.0)  # both twice are a quarter of the draws each


def test_rows_are_of_systems_with_seeds_enough():
  every = [record("bc", [1.0, 1.0]), record("x", [2.0, 2.0])]
  assert aggregates.rows(every) == [
    {"system": "bc", "IQM": "0.00 (0.00 to 0.00)", "datasets": 1},
    {"system": "x", "IQM": "0.50 (0.50 to 0.50)", "datasets": 1},
  ]
  assert aggregates.rows([record("bc", [1.0])]) == []


def test_settings_are_not_averaged_as_if_they_were_datasets():
  one = [
    record("bc", [1.0, 1.0], row="5 steps"),
    record("x", [2.0, 2.0], row="5 steps"),
  ]
  assert len(aggregates.rows(one)) == 2
  assert aggregates.rows([*one, record("x", [3.0, 3.0], row="10 steps")]) == []
  more = [record(system, [3.0, 3.0], row="10 steps") for system in ("bc", "x")]
  assert aggregates.rows([*one, *more]) == []


def test_it_agrees_with_rliable():
  metrics = pytest.importorskip("rliable.metrics")
  scores = np.random.default_rng(0).normal(size=(5, 7))
  assert aggregates.iqm(scores) == pytest.approx(metrics.aggregate_iqm(scores))
