"""From stored rows to what training needs: splits by episode, statistics, batches."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.data.store import StoredDataset
from logo_jax.ops.standardise import moments
from logo_jax.types import Dataset, EnvSpec, Rows, Statistics, Transition

# Shares of the episodes. The split depends on the dataset alone, never on a run's seed.
SELECT_SHARE = 0.1
TEST_SHARE = 0.1
_SPLIT_SEED = 0


class Episodes(NamedTuple):
  """Row ranges of episodes: transitions start at rows [first, last)."""

  first: np.ndarray  # int64 [E]
  last: np.ndarray  # int64 [E], the row of the final observation


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedDataset:
  """A dataset in memory with all that is known about it."""

  spec: EnvSpec
  card: dict
  data: Dataset
  statistics: Statistics
  test_episodes: Episodes

  @property
  def num_transitions(self) -> int:
    return self.data.starts.shape[0]


def load(stored: StoredDataset) -> LoadedDataset:
  """Splits the episodes, computes statistics and puts the rows on the default device.

  Args:
    stored: a dataset as `data.store.read` returns it, already verified.

  Returns:
    The dataset.

  Raises:
    ValueError: fewer than three episodes, so that the three splits cannot be made.
  """
  offsets = np.asarray(stored.episode_start)
  episodes = Episodes(first=offsets[:-1], last=offsets[1:] - 1)
  train, select, test = _split(len(episodes.first))
  statistics = _statistics(stored.rows, episodes, train)
  return LoadedDataset(
    spec=stored.spec,
    card=stored.card,
    data=Dataset(
      rows=jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), stored.rows),
      starts=_starts(episodes, np.arange(len(episodes.first))),
      train=_starts(episodes, train),
      select=_starts(episodes, select),
      test=_starts(episodes, test),
    ),
    statistics=statistics,
    test_episodes=_take(episodes, test),
  )


def transitions(rows: Rows, index: jax.Array) -> Transition:
  """The transitions that start at rows `index` [*b]: next_* is the row after."""
  now = jax.tree.map(lambda x: x[index], rows)
  after = index + 1
  return Transition(
    *now,
    next_obs=rows.obs[after],
    next_state=rows.state[after],
    next_legal=rows.legal[after],
  )


def window_starts(episodes: Episodes, length: int) -> np.ndarray:
  """Rows that start `length` consecutive transitions of one episode, int32 [W]."""
  ranges = [
    np.arange(first, last - length + 1)
    for first, last in zip(episodes.first, episodes.last, strict=True)
  ]
  return np.concatenate(ranges).astype(np.int32)


def _split(num_episodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  if num_episodes < 3:
    raise ValueError(
      f"dataset: {num_episodes} episodes, but training, selection and test splits need "
      "at least 3"
    )
  order = np.random.default_rng(_SPLIT_SEED).permutation(num_episodes)
  num_select = max(1, round(SELECT_SHARE * num_episodes))
  num_test = max(1, round(TEST_SHARE * num_episodes))
  select, test, train = np.split(order, [num_select, num_select + num_test])
  return np.sort(train), np.sort(select), np.sort(test)


def _take(episodes: Episodes, index: np.ndarray) -> Episodes:
  return Episodes(first=episodes.first[index], last=episodes.last[index])


def _starts(episodes: Episodes, index: np.ndarray) -> jax.Array:
  return jnp.asarray(window_starts(_take(episodes, index), 1))


def _statistics(rows: Rows, episodes: Episodes, train: np.ndarray) -> Statistics:
  inside = np.zeros(len(rows.reward), bool)
  for first, last in zip(*_take(episodes, train), strict=True):
    inside[first : last + 1] = True
  is_start = np.ones(len(rows.reward), bool)
  is_start[episodes.last] = False
  reward = np.asarray(rows.reward)
  obs = np.asarray(rows.obs)[inside]
  to_go = [
    np.cumsum(reward[first:last][::-1])
    for first, last in zip(episodes.first, episodes.last, strict=True)
  ]
  return Statistics(
    obs=moments(obs.reshape(-1, obs.shape[-1])),
    state=moments(np.asarray(rows.state)[inside]),
    reward=moments(reward[inside & is_start]),
    return_range=(
      float(min(0.0, *(g.min() for g in to_go))),
      float(max(0.0, *(g.max() for g in to_go))),
    ),
  )
