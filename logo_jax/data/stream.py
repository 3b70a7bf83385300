"""Rows that stay on disk: what a compiled chunk needs is read while another one runs.

Which transitions a chunk draws depends on a key and a step alone. So they are known
before it runs, and only they, with the rows after them, are copied from the memory map.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
import contextlib
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree
import numpy as np

from logo_jax.types import Dataset, Rows


class Feed(NamedTuple):
  """What a compiled chunk reads of a dataset."""

  rows: Rows  # all of them, or copies of those the chunk needs
  draws: PyTree  # int32, the rows at which its transitions start, or of its windows


def on_host(data: Dataset) -> bool:
  """Whether the rows are numpy arrays, most likely memory-mapped."""
  return not isinstance(data.rows.reward, jax.Array)


def gather(rows: Rows, index: PyTree, length: int = 1) -> Feed:
  """Copies rows `i` to `i + length`, as far as there are, for each `i` of the index.

  Each row is read once, in the order in which they lie on disk.

  Args:
    rows: on the host.
    index: integer arrays `[*b]` of rows.
    length: transitions that follow each other from each start.

  Returns:
    The copies, as many for all indices of the same shapes (zeros make up the rest), and
    the places of `index` among them.
  """
  leaves, structure = jax.tree.flatten(index)
  starts = np.unique(np.concatenate([np.ravel(leaf) for leaf in leaves]))
  needed = np.unique(starts[:, None] + np.arange(length + 1))
  needed = needed[: np.searchsorted(needed, len(rows.reward))]
  asked = sum(np.size(leaf) for leaf in leaves) * (length + 1)
  size = min(asked, len(rows.reward))

  def copy(array: np.ndarray) -> np.ndarray:
    out = np.zeros((size, *array.shape[1:]), array.dtype)
    # Clipped, though all are inside: "raise" would read into a buffer first.
    np.take(np.asarray(array), needed, axis=0, out=out[: len(needed)], mode="clip")
    return out

  places = [np.searchsorted(needed, leaf).astype(np.int32) for leaf in leaves]
  return Feed(jax.tree.map(copy, rows), jax.tree.unflatten(structure, places))


def gather_if_on_host(rows: Rows, index: Any, length: int) -> Feed:
  """`gather` of rows on the host; rows on a device are left where they are."""
  if isinstance(rows.reward, jax.Array):
    return Feed(rows, index)
  return gather(rows, index, length)


@contextlib.contextmanager
def feeds(
  rows: Rows,
  draw: Callable[[int], PyTree],
  place: Callable[[Feed], Feed],
  steps: range,
) -> Iterator[Callable[[int], Feed]]:
  """The feeds of chunks; while one runs, a thread reads the next one's.

  Args:
    rows: on the host.
    draw: step -> the rows at which the chunk's transitions start.
    place: copies a feed to where it is needed.
    steps: those at which chunks begin.

  Yields:
    step -> the chunk's feed, to be called right before the chunk; it raises what kept
    the thread from reading. The thread ends with the context.
  """
  pool = ThreadPoolExecutor(1, thread_name_prefix="rows")
  ahead: dict[int, Future[Feed]] = {}  # at most one, so that at most two feeds exist

  def read(draws: PyTree) -> Feed:
    return place(gather(rows, jax.device_get(draws)))

  def start(step: int) -> Future[Feed]:
    # Drawn here, before the caller's chunk begins: a device works in order, and the
    # thread would get its draws only after the chunk.
    return pool.submit(read, draw(step))

  def feed(step: int) -> Feed:
    found = ahead.pop(step, None) or start(step)
    ready = found.result()
    after = step + steps.step
    if after in steps:
      ahead[after] = start(after)
    return ready

  try:
    yield feed
  finally:
    pool.shutdown(cancel_futures=True)
