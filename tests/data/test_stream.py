"""Rows that stay on disk: what is read, when, and how much of it."""

import threading
import tracemalloc

import jax
import numpy as np
import pytest

from logo_jax.data import dataset, stream
from logo_jax.ops.standardise import moments
from logo_jax.types import EnvSpec, Rows
from tests import toys


def _rows(num: int) -> Rows:
  row = np.arange(num, dtype=np.float32)
  return Rows(
    obs=np.stack([row, -row], -1)[..., None],
    state=row[:, None] * 10,
    legal=np.ones((num, 2, 3), bool),
    action=np.zeros((num, 2), np.int32),
    reward=row,
    discount=np.ones(num, np.float32),
  )


def test_gathered_transitions_are_those_of_all_rows():
  rows = _rows(50)
  index = {"a": np.array([[7, 3], [30, 7]]), "b": np.array([48])}
  feed = stream.gather(rows, index)
  assert feed.rows.reward.shape == (10,)  # two for each of five, whatever they share
  for name, starts in index.items():
    got = dataset.transitions(feed.rows, feed.draws[name])
    jax.tree.map(np.testing.assert_array_equal, got, dataset.transitions(rows, starts))
  # No more than there are; windows hold every row on their way.
  starts = np.arange(40)
  feed = stream.gather(rows, starts, 10)
  assert feed.rows.reward.shape == (50,)
  for k in range(11):
    np.testing.assert_array_equal(feed.rows.reward[feed.draws + k], starts + k)


def test_gathered_windows_are_those_of_all_rows():
  rows = _rows(50)
  # Up to the last row there is; a repeated row marks the end of an episode.
  index = np.array([[46, 47, 48, 49], [3, 4, 5, 5], [48, 49, 49, 49]])
  feed = stream.gather(rows, index)
  np.testing.assert_array_equal(np.diff(feed.draws), np.diff(index))
  got, expected = (dataset.window_transitions(*x) for x in (feed, (rows, index)))
  jax.tree.map(np.testing.assert_array_equal, got, expected)
  np.testing.assert_array_equal(got.next_state[:, :, 0] / 10, index[:, 1:])


def _feeds(draw, steps=range(0, 30, 10)):
  return stream.feeds(_rows(50), draw, lambda feed: feed, steps)


def _threads() -> list[str]:
  return [t.name for t in threading.enumerate() if t.name.startswith("rows")]


def test_the_next_chunk_is_drawn_and_read_ahead():
  drawn = []

  def draw(step):
    drawn.append(step)
    return np.array([step, step + 1])

  with _feeds(draw) as feed:
    assert drawn == []
    for step, ahead in ((0, [0, 10]), (10, [0, 10, 20]), (20, [0, 10, 20])):
      got = feed(step)
      assert drawn == ahead  # each once, and none where no chunk begins
      np.testing.assert_array_equal(got.rows.reward[got.draws], [step, step + 1])
    assert _threads()
  assert not _threads()
  with _feeds(draw) as feed:  # resumed in the middle
    np.testing.assert_array_equal(feed(20).rows.reward[:2], [20, 21])


def test_errors_of_the_thread_reach_the_loop(monkeypatch):
  gather = stream.gather

  def fails(rows, index):
    if 10 in index:
      raise OSError("disk gone")
    return gather(rows, index)

  monkeypatch.setattr(stream, "gather", fails)
  with pytest.raises(OSError, match="disk gone"):
    with _feeds(lambda step: np.array([step])) as feed:
      feed(0)
      feed(10)
  assert not _threads()


def test_an_error_of_the_loop_ends_the_thread():
  with pytest.raises(KeyError):
    with _feeds(lambda step: np.array([step])) as feed:
      feed(0)
      raise KeyError
  assert not _threads()


@pytest.mark.parametrize("size", [1, 100, 2**24])
def test_moments_by_block_are_those_of_the_whole(monkeypatch, size):
  rng = np.random.default_rng(0)
  x = rng.normal(100.0, 3.0, (60, 2, 4)).astype(np.float32)
  x[..., 1] = 0.1  # constant
  keep = rng.random(60) < 0.5
  keep[:10] = False  # whole blocks of nothing
  monkeypatch.setattr(dataset, "_BLOCK_BYTES", size)
  got, expected = dataset._moments(x, keep), moments(x[keep].reshape(-1, 4))
  for a, b in zip(got, expected, strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-7, atol=1e-7)
  np.testing.assert_array_equal(got.varies, [True, False, True, True])


@pytest.fixture
def large(tmp_path):
  """40 MB of rows on disk, in 200 episodes."""
  num = 20_000
  spec = EnvSpec("toy/large", 2, 200, 100, "discrete", 3, 100)
  shapes = _rows(1)._replace(
    obs=np.zeros((1, 2, 200), np.float32), state=np.zeros((1, 100), np.float32)
  )
  fields = {}
  for name, like in shapes.stored().items():
    path, shape = tmp_path / f"{name}.npy", (num, *like.shape[1:])
    array = np.lib.format.open_memmap(path, "w+", like.dtype, shape)
    array[:] = (np.arange(num) % 97).reshape(-1, *(1,) * (len(shape) - 1)) % 3
    array.flush()
    fields[name] = np.load(path, mmap_mode="r", allow_pickle=False)
  return toys.stored(spec, Rows(**fields), np.arange(0, num + 1, 100))


def test_rows_on_the_host_are_never_in_memory_as_a_whole(large, monkeypatch):
  monkeypatch.setattr(dataset, "_BLOCK_BYTES", 2**18)
  total = sum(x.nbytes for x in large.rows.stored().values())
  before = sum(x.nbytes for x in jax.live_arrays())
  tracemalloc.start()
  try:
    loaded = dataset.load(large, "host")
    feed = stream.gather(loaded.data.rows, np.asarray(loaded.data.train[::50]))
    peak = tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()
  assert 4e7 < total and peak < total / 8, (total, peak)
  assert stream.on_host(loaded.data) and len(feed.rows.reward) == 630
  # Not by JAX either, which is not traced.
  assert sum(x.nbytes for x in jax.live_arrays()) - before < total / 8
  # And yet all is as it is when they are on the device.
  on_device = dataset.load(large)
  assert not stream.on_host(on_device.data)
  jax.tree.map(np.testing.assert_array_equal, loaded.statistics, on_device.statistics)
  jax.tree.map(np.testing.assert_array_equal, loaded.data, on_device.data)
