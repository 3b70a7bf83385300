"""Several processes, most likely on several hosts, that train one run together.

All of them run the same program: they read the configuration and the data, and start
the same compiled chunks in the same order. The first one alone locks the run's folder,
logs, draws and writes results. What a process finds out by itself (bad input, a signal)
is shared before anybody acts on it; a process that ends without the others ends them.
"""

from collections.abc import Callable, Iterator
import contextlib
import itertools
import json
import os
from typing import Any

import jax
from jax.experimental import multihost_utils
import numpy as np

from logo_jax.io import logging
from logo_jax.io.logging import Stop
from logo_jax.io.run_folder import RunFolder

_FOR_EVER = 7 * 24 * 3600 * 1000  # milliseconds; who is dead is found out otherwise
_BARRIERS = itertools.count()  # their names must differ


class Elsewhere(ValueError):
  """Another process of the run has failed."""


def is_first() -> bool:
  """Whether this is the process that writes; the only one is."""
  return jax.process_index() == 0


@contextlib.contextmanager
def agreed() -> Iterator[None]:
  """What fails within the block in one process fails in all of them.

  The block is left together, however long that takes.

  Raises:
    Elsewhere: another one has failed; the message has the process and its error.
  """
  try:
    yield
  except Exception as error:
    share(f"{error}" or type(error).__name__)
    raise
  for index, text in enumerate(share("")):
    if text:
      raise Elsewhere(f"process {index}: {text}")


def in_turn(make: Callable[[], Any]) -> Any:
  """Calls `make` in the first process, and then in the others."""
  made = None
  with agreed():
    if is_first():
      made = make()
  with agreed():
    return made if is_first() else make()


def of_first(make: Callable[[], Any]) -> Any:
  """What `make` returns in the first process, in all; it is not called in others.

  Args:
    make: returns what JSON can hold.
  """
  made = None
  with agreed():
    if is_first():
      made = make()
  return made if jax.process_count() == 1 else json.loads(share(json.dumps(made))[0])


def arrays_of_first(arrays: Any) -> Any:
  """The first process's arrays, in all; the others' differ in their values alone."""
  return multihost_utils.broadcast_one_to_all(arrays)


def check_same(what: str, value: dict[str, Any]) -> None:
  """Refuses processes that have been started with different values.

  Args:
    what: names the value.
    value: of what JSON can hold.

  Raises:
    ValueError: names the first process and field that differ from the first one's.
  """
  found = [json.loads(text) for text in share(json.dumps(value))]
  for index, other in enumerate(found):
    for field in found[0] | other:
      if (a := found[0].get(field)) != (b := other.get(field)):
        raise ValueError(
          f"{what}: {field} is {b} in process {index} but {a} in process 0"
        )


def share(text: str) -> list[str]:
  """The texts of all processes, in order; waits for them."""
  if jax.process_count() == 1:
    return [text]
  from orbax.checkpoint import multihost

  # Compiled collectives do not wait for ever.
  name = f"logo_jax.share.{next(_BARRIERS)}"
  multihost.get_barrier_sync_fn()(key=name, timeout_ms=_FOR_EVER)
  data = np.frombuffer(text.encode(), np.uint8)
  sizes = multihost_utils.process_allgather(np.int32(data.size))
  padded = np.zeros(max(int(sizes.max()), 1), np.uint8)
  padded[: data.size] = data
  rows = multihost_utils.process_allgather(padded)
  return [bytes(row[:n]).decode() for row, n in zip(rows, sizes, strict=True)]


class AgreedStop(Stop):
  """True in all processes once one of them was asked to stop.

  All of them must ask equally often: each time, they talk.
  """

  def __init__(self, own: Stop) -> None:
    """Nobody has asked yet.

    Args:
      own: of this process.
    """
    super().__init__()
    self._own = own

  def __bool__(self) -> bool:
    if not self.requested:
      asked = np.int32(bool(self._own))
      self.requested = bool(multihost_utils.process_allgather(asked).any())
    return self.requested


@contextlib.contextmanager
def graceful_stop() -> Iterator[Stop]:
  """`logging.graceful_stop`, of all processes together."""
  with logging.graceful_stop() as stop:
    yield stop if jax.process_count() == 1 else AgreedStop(stop)


class Follower(RunFolder):
  """The run's folder in a process that does not write to it."""

  def log(self, step: int, metrics: dict[str, Any], phase: str = "train") -> None:
    """Leaves it to the first process."""

  def truncate_after(self, step: int, phase: str = "train") -> None:
    """Leaves it to the first process."""

  def write_results(self, results: dict[str, Any]) -> None:
    """Leaves it to the first process."""


def open_folder(
  path: str | os.PathLike[str], config: dict[str, Any], loggers: str
) -> RunFolder:
  """`RunFolder.open` in the first process; the others follow."""
  with agreed():
    return RunFolder.open(path, config, loggers) if is_first() else Follower(path)
