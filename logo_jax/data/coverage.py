"""How much of a dataset is new: distinct joint steps, and episodes that are copies.

Every row is hashed (128 bits of BLAKE2), block by block, so that a dataset may be
larger than memory. -0 counts as 0.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np

_BLOCK_BYTES = 2**20  # looked at in one go
_BYTES = 16  # of a hash


class Coverage(NamedTuple):
  """What `measure` finds."""

  # Distinct pairs of joint observation and joint action over the number of transitions,
  # the SACo of OG-MARL's dataset cards.
  saco: float
  first_like: np.ndarray  # int64 [E], the first episode of the same content

  @property
  def identical(self) -> np.ndarray:
    """bool [E]: episodes whose content is that of an earlier one."""
    return self.first_like != np.arange(len(self.first_like))


def measure(obs: Any, action: Any, reward: Any, episode_start: Any) -> Coverage:
  """Looks at all rows of a dataset.

  Args:
    obs: `[R, N, O]`, or anything else with rows first; on disk or not.
    action: `[R, N]` or `[R, N, A]`.
    reward: `[R]`.
    episode_start: int `[E + 1]`, as datasets are stored: an episode's last row is its
      final observation and no transition.
  """
  start = np.asarray(episode_start)
  rows = row_hashes(obs, action)
  is_step = np.ones(len(rows), bool)
  is_step[start[1:] - 1] = False
  saco = len(np.unique(rows[is_step])) / int(is_step.sum())
  return Coverage(saco, first_like(rows, reward, start))


def first_like(rows: np.ndarray, reward: Any, episode_start: Any) -> np.ndarray:
  """The first episode of the same content as each, int64 `[E]`.

  Args:
    rows: `[R]`, of `row_hashes`.
    reward: see `measure`.
    episode_start: see `measure`.
  """
  start, reward = np.asarray(episode_start), _plain(np.asarray(reward))
  seen: dict[bytes, int] = {}
  found = np.empty(len(start) - 1, np.int64)
  for e, (begin, end) in enumerate(zip(start[:-1], start[1:], strict=True)):
    digest = hashlib.blake2b(rows[begin:end].tobytes(), digest_size=_BYTES)
    digest.update(reward[begin:end].tobytes())
    found[e] = seen.setdefault(digest.digest(), e)
  return found


def row_hashes(*arrays: Any) -> np.ndarray:
  """A hash of what the arrays, `[R, ...]` each, have in each row: `[R]`, of bytes."""
  found = []
  width = sum(np.asarray(x[:1]).nbytes for x in arrays)
  block_rows = max(1, _BLOCK_BYTES // max(1, width))
  for begin in range(0, len(arrays[0]), block_rows):
    parts = [_plain(np.asarray(x[begin : begin + block_rows])) for x in arrays]
    parts = [np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8) for x in parts]
    block = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    hashes = [hashlib.blake2b(row.data, digest_size=_BYTES).digest() for row in block]
    found.append(b"".join(hashes))
  return np.frombuffer(b"".join(found), f"V{_BYTES}")


def _plain(x: np.ndarray) -> np.ndarray:
  """The same with -0 as 0."""
  return x + x.dtype.type(0) if x.dtype.kind == "f" else x
