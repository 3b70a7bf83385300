"""What is in a dataset: its rules, one by one, and the numbers behind a first look.

Rows are read block by block and quantiles taken from a sample, so that a dataset may be
larger than memory; only what is one number per row is held in full.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from logo_jax.data import coverage, store, validate

_BLOCK = 8192  # rows read in one go
_SAMPLE = 20_000  # rows behind quantiles
_POINTS = 4_000  # rows behind the principal components
_SEED = 0
_BINS = 60


class Bands(NamedTuple):
  """The range of each feature, `[F]` each; the least and greatest are of all rows."""

  least: np.ndarray
  low: np.ndarray  # 5% of the values are below
  high: np.ndarray  # 95% are below
  greatest: np.ndarray

  @property
  def num_constant(self) -> int:
    """Features with one value throughout."""
    return int((self.least == self.greatest).sum())

  @property
  def num_near_constant(self) -> int:
    """Features that change, but with one value in the middle 90%."""
    return int(((self.least < self.greatest) & (self.low == self.high)).sum())


class Summary(NamedTuple):
  """Numbers of a dataset, as numpy arrays."""

  returns: np.ndarray  # float64 [E], undiscounted
  lengths: np.ndarray  # int64 [E], transitions
  obs: Bands  # pooled over agents, without padding
  state: Bands
  points: np.ndarray  # [P, 2], states on their first two principal components
  explained: np.ndarray  # [2], shares of the variance that the two explain
  point_returns: np.ndarray  # [P], of the episode that a state comes from
  reward_counts: np.ndarray  # int64 [H], histogram over transitions
  reward_edges: np.ndarray  # [H + 1]
  saco: float  # distinct (joint observation, joint action) over transitions
  identical_episodes: float  # the share whose content is that of an earlier one


def checks(stored: store.StoredDataset) -> Iterator[validate.Check]:
  """Checks the contents rule by rule; see `validate.checks`."""
  arrays = {**stored.rows.stored(), "episode_start": stored.episode_start}
  yield from validate.checks(arrays, stored.spec)


def summarise(stored: store.StoredDataset) -> Summary:
  """Computes the numbers; the same dataset gives the same ones.

  Args:
    stored: a dataset without NaN or infinities.
  """
  rows, start = stored.rows, np.asarray(stored.episode_start)
  reward = np.asarray(rows.reward, np.float64)
  returns = np.add.reduceat(reward, start[:-1])
  is_step = np.ones(len(reward), bool)
  is_step[start[1:] - 1] = False
  rng = np.random.default_rng(_SEED)
  sample = _draw(rng, len(reward), _SAMPLE)
  picked = _draw(rng, len(reward), _POINTS)
  points, explained = _project(_take(rows.state, picked))
  counts, edges = np.histogram(reward[is_step], bins=_BINS)
  mask = stored.spec.obs_mask
  covered = coverage.measure(rows.obs, rows.action, reward, start)
  return Summary(
    returns=returns,
    lengths=np.diff(start) - 1,
    obs=_bands(rows.obs, sample, mask),
    state=_bands(rows.state, sample, np.ones(rows.state.shape[1:], bool)),
    points=points,
    explained=explained,
    point_returns=returns[np.searchsorted(start, picked, side="right") - 1],
    reward_counts=counts,
    reward_edges=edges,
    saco=covered.saco,
    identical_episodes=float(covered.identical.mean()),
  )


def disagreements(card: dict[str, Any], summary: Summary) -> list[str]:
  """What a card says of the numbers that is not so; its absent entries say nothing."""
  found = {
    "num_transitions": summary.lengths.sum(),
    "num_episodes": len(summary.lengths),
    "length_min": summary.lengths.min(),
    "length_max": summary.lengths.max(),
    "return_mean": summary.returns.mean(),
    "return_std": summary.returns.std(),
    "saco": summary.saco,
    "identical_episodes": summary.identical_episodes,
  }
  return [
    f"{key} is {value:.6g}, the card says {card[key]}"
    for key, value in found.items()
    if key in card and not np.isclose(card[key], value, rtol=1e-4, atol=1e-5)
  ]


def _draw(rng: np.random.Generator, num: int, most: int) -> np.ndarray:
  """Distinct rows in order, all of them where there are few."""
  return np.sort(rng.permutation(num)[:most])


def _take(array: Any, index: np.ndarray) -> np.ndarray:
  return np.asarray(array[index])


def _blocks(num: int) -> Iterator[slice]:
  for begin in range(0, num, _BLOCK):
    yield slice(begin, min(begin + _BLOCK, num))


def _bands(array: Any, sample: np.ndarray, real: np.ndarray) -> Bands:
  """The ranges of features, pooled over agents where there is such an axis.

  Args:
    array: `[R, F]` or `[R, N, F]`.
    sample: rows to take quantiles from.
    real: bool `[F]` or `[N, F]`; False where a value is padding.
  """
  real = real | ~real.reshape(-1, array.shape[-1]).any(0)  # padding of all: constant

  def extreme(of: Callable[..., np.ndarray], fill: float) -> np.ndarray:
    parts = [
      of(np.where(real, array[block], fill), axis=0) for block in _blocks(len(array))
    ]
    return of(np.stack(parts).reshape(-1, array.shape[-1]), axis=0)

  # One feature at a time, so that no more than a sample of it is sorted.
  taken, agents = _take(array, sample), real.reshape(-1, array.shape[-1])
  taken = taken.reshape(len(sample), -1, array.shape[-1])
  quantiles = np.array(
    [
      np.quantile(taken[:, agents[:, f], f], (0.05, 0.95), method="nearest")
      for f in range(array.shape[-1])
    ]
  )
  return Bands(
    least=extreme(np.min, np.inf),
    low=quantiles[:, 0],
    high=quantiles[:, 1],
    greatest=extreme(np.max, -np.inf),
  )


def _project(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Standardised states on their first two principal components.

  Args:
    states: `[P, S]`; features that do not change count for nothing.

  Returns:
    Points `[P, 2]`, and the shares of the variance `[2]`.
  """
  x = states.astype(np.float64)
  deviation = x.std(axis=0)
  x = (x - x.mean(axis=0)) / np.where(deviation > 1e-6, deviation, np.inf)
  u, s, vt = np.linalg.svd(x, full_matrices=False)
  # A component's sign is arbitrary; its largest weight is positive here.
  signs = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)])
  points, shares = np.zeros((len(x), 2)), np.zeros(2)
  kept = min(2, len(s))
  points[:, :kept] = (u * s * signs)[:, :kept]
  shares[:kept] = (s**2 / max((s**2).sum(), 1e-12))[:kept]
  return points, shares
