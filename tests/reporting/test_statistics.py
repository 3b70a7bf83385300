"""Intervals against numbers worked out by hand."""

import math

import numpy as np
import pytest

from logo_jax.reporting import statistics


def test_mean_ci95_by_hand():
  # Mean 3, s = sqrt(10 / 4) = 1.5811, s / sqrt(5) = 0.70711; t(0.975, 4) = 2.77645.
  mean, half = statistics.mean_ci95([1, 2, 3, 4, 5])
  assert mean == 3.0
  assert half == pytest.approx(2.77645 * 0.70711, abs=2e-5)


def test_mean_ci95_of_two():
  # s / sqrt(2) = |a - b| / 2 = 1; t(0.975, 1) = tan(0.475 pi) = 12.7062.
  assert statistics.mean_ci95(np.array([4.0, 6.0])) == pytest.approx((5.0, 12.7062))


def test_mean_ci95_of_one_has_no_width():
  mean, half = statistics.mean_ci95([2.5])
  assert mean == 2.5 and math.isnan(half)


def test_mean_ci95_of_none_is_refused():
  with pytest.raises(ValueError, match="0 values"):
    statistics.mean_ci95([])


def test_mean_ci95_covers():
  draws = np.random.default_rng(0).normal(3.0, 2.0, (2000, 5))
  hits = [abs(m - 3.0) <= h for m, h in map(statistics.mean_ci95, draws)]
  assert abs(np.mean(hits) - 0.95) < 0.015


@pytest.mark.parametrize(
  ("successes", "trials", "low", "high"),
  [
    # z^2 = 3.84146. Of 0 in 10: [0, z^2 / (10 + z^2)].
    (0, 10, 0.0, 0.27753),
    (10, 10, 0.72247, 1.0),
    # Of 5 in 10: 0.5 ± 1.95996 sqrt(0.025 + 0.0096037) / 1.384146, that is ± 0.26341.
    (5, 10, 0.23659, 0.76341),
  ],
)
def test_proportion_ci95_by_hand(successes, trials, low, high):
  interval = statistics.proportion_ci95(successes, trials)
  assert interval == pytest.approx((low, high), abs=2e-5)
  assert 0.0 <= interval[0] <= interval[1] <= 1.0


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_proportion_ci95_refuses(successes, trials):
  with pytest.raises(ValueError, match="is not allowed"):
    statistics.proportion_ci95(successes, trials)
