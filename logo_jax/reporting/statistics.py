"""Means and proportions with 95% confidence intervals."""

from collections.abc import Sequence
import math

import numpy as np
from scipy import special


def mean_ci95(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
  """The mean and the half width of its 95% confidence interval, by Student's t.

  `mean ± t(0.975, n - 1) · s / sqrt(n)`, with `s` the standard deviation over `n - 1`.

  Args:
    values: one value per independent run (seed), at least one.

  Returns:
    Mean and half width. The half width of a single value is NaN: one run says nothing
    about the spread.

  Raises:
    ValueError: there are no values.
  """
  array = np.asarray(values, dtype=np.float64).ravel()
  if not array.size:
    raise ValueError("values: 0 values are not allowed; a mean needs at least one")
  if array.size == 1:
    return float(array[0]), math.nan
  quantile = special.stdtrit(array.size - 1, 0.975)
  return float(array.mean()), float(quantile * array.std(ddof=1) / array.size**0.5)


def proportion_ci95(successes: int, trials: int) -> tuple[float, float]:
  """The 95% confidence interval of a proportion, for example a win rate.

  Wilson's score interval (JASA 22, 1927): unlike the mean ± 1.96 standard errors it
  stays within [0, 1] and is honest at 0 and at 1.

  Args:
    successes: how many trials succeeded, 0 to `trials`.
    trials: how many there were, at least 1.

  Returns:
    The lower and the upper end.

  Raises:
    ValueError: a number lies outside of its range.
  """
  if trials < 1:
    raise ValueError(f"trials: {trials} is not allowed; it must be at least 1")
  if not 0 <= successes <= trials:
    raise ValueError(f"successes: {successes} is not allowed; use 0 to {trials}")
  z = special.ndtri(0.975)
  p = successes / trials
  centre = p + z**2 / (2 * trials)
  half = z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
  scale = 1 + z**2 / trials
  # Rounding must not push the ends past the exact limits.
  return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
