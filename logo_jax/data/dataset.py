"""From stored rows to what training needs: splits by episode, statistics, batches."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.data import coverage
from logo_jax.data.store import StoredDataset
from logo_jax.ops.standardise import Moments, from_statistics
from logo_jax.types import Dataset, EnvSpec, Rows, Statistics, Transition

# Shares of the different episodes. The split depends on the dataset alone, never on a
# run's seed.
SELECT_SHARE = 0.1
TEST_SHARE = 0.1
_SPLIT_SEED = 0
# Where no more of the episodes are cut, by a time limit say, the others have shown what
# there is to earn until the end.
CUT_SHARE = 0.05
CALIBRATION_ROWS = 2_048  # of the selection split, from which uncertainty has its unit
_BLOCK_BYTES = 2**22  # of an array looked at in one go


class Episodes(NamedTuple):
  """Row ranges of episodes: transitions start at rows [first, last)."""

  first: np.ndarray  # int64 [E]
  last: np.ndarray  # int64 [E], the row of the final observation


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedDataset:
  """A dataset ready to be trained on, with all that is known about it."""

  spec: EnvSpec
  card: dict
  data: Dataset
  statistics: Statistics

  @property
  def num_transitions(self) -> int:
    return self.data.starts.shape[0]


def load(
  stored: StoredDataset, placement: Literal["device", "host"] = "device"
) -> LoadedDataset:
  """Splits the episodes, computes statistics and puts the rows where they belong.

  Args:
    stored: a dataset as `data.store.read` returns it, already verified.
    placement: "device" copies the rows to the default device; "host" leaves them on
      disk, whence `data.stream` reads what is needed.

  Returns:
    The dataset. Episodes of the same content are in the same split.

  Raises:
    ValueError: fewer than three different episodes, so that the three splits cannot be
      made.
  """
  offsets = np.asarray(stored.episode_start)
  episodes = Episodes(first=offsets[:-1], last=offsets[1:] - 1)
  first_like = _first_like(stored)
  train, select, test = _split(first_like)
  copies = float((first_like != np.arange(len(first_like))).mean())
  layout = stored.spec.layout
  by_agent = layout is not None and not layout.agents_alike
  statistics = _statistics(stored.rows, episodes, train, by_agent)
  rows = jax.tree.map(np.asarray, stored.rows)  # views, still memory-mapped
  rows = rows._replace(time=_times(offsets))
  return LoadedDataset(
    spec=stored.spec,
    card=stored.card | {"identical_episodes": copies},
    data=Dataset(
      rows=rows if placement == "host" else jax.tree.map(jnp.asarray, rows),
      starts=_starts(episodes, np.arange(len(episodes.first))),
      train=_starts(episodes, train),
      select=_starts(episodes, select),
      test=_starts(episodes, test),
    ),
    statistics=statistics,
  )


def held_out_from(loaded: LoadedDataset, other: LoadedDataset) -> LoadedDataset:
  """Another dataset of the same game, all its rows as held-out ones of this dataset.

  Args:
    loaded: what models were fitted to; its statistics are the units of errors.
    other: what they are measured on; both its held-out splits become all of it.

  Raises:
    ValueError: the two are of different games, or may share episodes: they are the
      same, or were collected with the same seed.
  """
  if other.spec != loaded.spec:
    raise ValueError(
      f"held_out: must be of {loaded.spec.name}, like the data that models are fitted "
      f"to, got data of {other.spec.name}, or of other shapes"
    )
  mine, others = loaded.card, other.card
  if others["content_hash"] == mine["content_hash"]:
    raise ValueError("held_out: these are the very data that models are fitted to")
  name, seed = others.get("name"), others.get("seed")
  # Data of another size share episodes.
  plain = str(name).partition("@")[0] == str(mine.get("name")).partition("@")[0]
  if seed is not None and plain and seed == mine.get("seed"):
    raise ValueError(
      f"held_out: {name} was collected with seed {seed}, like the data that models are "
      "fitted to, and may hold the same episodes; collect it with another seed"
    )
  everything = other.data._replace(select=other.data.starts, test=other.data.starts)
  return dataclasses.replace(other, statistics=loaded.statistics, data=everything)


def transitions(rows: Rows, index: jax.Array) -> Transition:
  """The transitions that start at rows `index` [*b]: next_* is the row after."""
  now = jax.tree.map(lambda x: x[index], rows)
  after = index + 1
  return Transition(
    **now._asdict(),
    next_obs=rows.obs[after],
    next_state=rows.state[after],
    next_legal=rows.legal[after],
  )


def window_transitions(rows: Rows, index: jax.Array) -> Transition:
  """The transitions [*b, T] from row to row of windows, `index` [*b, T + 1]."""
  at = jax.tree.map(lambda x: x[index], rows)
  axis = index.ndim - 1

  def cut(x: jax.Array, first: int) -> jax.Array:
    return jax.lax.slice_in_dim(x, first, first + index.shape[-1] - 1, axis=axis)

  return Transition(
    **jax.tree.map(lambda x: cut(x, 0), at)._asdict(),
    next_obs=cut(at.obs, 1),
    next_state=cut(at.state, 1),
    next_legal=cut(at.legal, 1),
  )


def evenly_spaced(rows: Any, most: int) -> Any:
  """At most so many of the rows, numpy's or JAX's, evenly spaced."""
  keep = np.linspace(0, len(rows) - 1, min(len(rows), most))
  return rows[keep.astype(np.int32)]


def draw_starts(starts: jax.Array, num: int, key: jax.Array) -> jax.Array:
  """`num` rows of a table of starts, uniformly and with replacement."""
  return starts[jax.random.randint(key, (num,), 0, starts.shape[0])]


def window_starts(episodes: Episodes, length: int) -> np.ndarray:
  """Rows that start `length` consecutive transitions of one episode, int32 [W]."""
  ranges = [
    np.arange(first, last - length + 1)
    for first, last in zip(episodes.first, episodes.last, strict=True)
  ]
  return np.concatenate(ranges).astype(np.int32)


def _first_like(stored: StoredDataset) -> np.ndarray:
  """The first episode like each, int64 [E]; see `coverage.first_like`."""
  if stored.card.get("identical_episodes") == 0:
    return np.arange(len(stored.episode_start) - 1)
  hashes = coverage.row_hashes(stored.rows.obs, stored.rows.action)
  return coverage.first_like(hashes, stored.rows.reward, stored.episode_start)


def _split(first_like: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Episodes for training, selection and test; copies of one another stay together."""
  different, content = np.unique(first_like, return_inverse=True)
  num = len(different)
  if num < 3:
    raise ValueError(
      f"dataset: {num} different episodes, but training, selection and test splits "
      "need at least 3"
    )
  order = np.random.default_rng(_SPLIT_SEED).permutation(num)
  num_select = max(1, round(SELECT_SHARE * num))
  num_test = max(1, round(TEST_SHARE * num))
  parts = np.split(order, [num_select, num_select + num_test])
  select, test, train = (np.flatnonzero(np.isin(content, part)) for part in parts)
  return train, select, test


def _times(offsets: np.ndarray) -> np.ndarray:
  """Steps since the episode began of every row, int32, from the episodes' offsets."""
  first = np.repeat(offsets[:-1], np.diff(offsets))
  return (np.arange(offsets[-1]) - first).astype(np.int32)


def _take(episodes: Episodes, index: np.ndarray) -> Episodes:
  return Episodes(first=episodes.first[index], last=episodes.last[index])


def _starts(episodes: Episodes, index: np.ndarray) -> jax.Array:
  return jnp.asarray(window_starts(_take(episodes, index), 1))


def _statistics(
  rows: Rows, episodes: Episodes, train: np.ndarray, by_agent: bool
) -> Statistics:
  inside = np.zeros(len(rows.reward), bool)
  for first, last in zip(*_take(episodes, train), strict=True):
    inside[first : last + 1] = True
  is_start = np.ones(len(rows.reward), bool)
  is_start[episodes.last] = False
  low = high = 0.0
  for first, last in zip(*episodes, strict=True):
    to_go = np.cumsum(rows.reward[first:last][::-1])
    low, high = min(low, float(to_go.min())), max(high, float(to_go.max()))
  ends = rows.discount[episodes.last - 1] == 0
  cut_rewards = (0.0, 0.0)
  if np.mean(~ends) > CUT_SHARE:
    going_on = rows.reward[is_start & (rows.discount != 0)]
    cut_rewards = float(going_on.min()), float(going_on.max())
  return Statistics(
    obs=_moments(rows.obs, inside, num_axes=2 if by_agent else 1),
    state=_moments(rows.state, inside),
    reward=_moments(rows.reward, inside & is_start),
    return_range=(low, high),
    cut_rewards=cut_rewards,
  )


def _moments(array: Any, keep: np.ndarray, num_axes: int = 1) -> Moments:
  """`ops.standardise.moments` of the rows to keep, block by block.

  Means and sums of squares are joined as by Chan et al. (1983), in float64.

  Args:
    array: [R, *any, *f], on disk or not.
    keep: bool [R].
    num_axes: of *f, the features; the last ones, if there are any.
  """
  features = array.shape[1:][-num_axes:]
  count, mean, squares = 0, np.zeros(features), np.zeros(features)
  low, high = np.full(features, np.inf), np.full(features, -np.inf)
  size = max(1, _BLOCK_BYTES // (array.nbytes // len(array)))
  for begin in range(0, len(array), size):
    block = np.asarray(array[begin : begin + size])[keep[begin : begin + size]]
    x = block.reshape(-1, *features).astype(np.float64)
    if not len(x):
      continue
    total, own = count + len(x), x.mean(0)
    low, high = np.minimum(low, x.min(0)), np.maximum(high, x.max(0))
    x -= own
    squares += np.square(x, out=x).sum(0)
    squares += (own - mean) ** 2 * (count * len(x) / total)
    mean += (own - mean) * (len(x) / total)
    count = total
  return from_statistics(mean, np.sqrt(squares / count), low, high)
