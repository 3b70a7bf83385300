"""What a checkpoint's files must hold before the loader is let at them."""

from collections.abc import Sequence
import errno
import logging
import os
import pathlib
import shutil
from typing import Any

from logo_jax.checks import reading
from logo_jax.io.logging import say

METRIC = "score"  # the name of what decides which checkpoint is the best


class Damaged(ValueError):
  """A checkpoint's files are missing, cut short or garbage."""


def read_through(folder: pathlib.Path, part: tuple[str, ...] = ()) -> dict[str, Any]:
  """Reads and decodes all that a checkpoint is made of, an array at a time.

  The loader reads many arrays at once and, where one fails, leaves the errors of the
  others to be printed whenever they come.

  Args:
    folder: of one step.
    part: the branch of the state that is wanted; all of it by default.

  Returns:
    The layout that was stored beside the state.

  Raises:
    Damaged: in one line.
  """
  import tensorstore as ts

  state = folder / "state"
  try:
    layout = reading.json_file(folder / "layout" / "metadata")
    for path in (state / "_METADATA", *state.glob("array_metadatas/*")):
      if path.is_file():  # nothing is missed where it is not
        reading.json_file(path)
    base = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{state}/"}}
    keys = ts.KvStore.open(base).result().list().result()
    names = [key.decode() for key in keys if key.endswith(b".zarray")]
    if len(names) != len(layout):
      raise ValueError(f"{state} holds {len(names)} of {len(layout)} arrays")
    wanted = "".join(f"{name}." for name in part)
    for name in (name.removesuffix(".zarray") for name in names):
      if not name.startswith(wanted):
        continue
      spec = {"driver": "zarr", "kvstore": base | {"path": name}}
      spec["fill_missing_data_reads"] = False
      ts.open(spec, open=True, read=True).result().read().result()
  except Exception as error:  # of tensorstore's types, and those of its parsers
    raise Damaged(f"checkpoint {folder} is damaged: {reason(error)}") from None
  return layout


def steps(folder: pathlib.Path) -> list[int]:
  """The steps that have been saved whole, in increasing order; others have a suffix."""
  return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def best(folder: pathlib.Path, among: Sequence[int]) -> int | None:
  """The step with the highest score, the last of equal ones; None if none has one."""
  scores = [(score(folder / str(step)), step) for step in among]
  known = [(value, step) for value, step in scores if value is not None]
  return max(known)[1] if known else None


def check_space(last: pathlib.Path) -> None:
  """Refuses to begin another checkpoint as large as the last one on a full disk.

  Raises:
    OSError: there is less room than that.
  """
  size = sum(path.stat().st_size for path in last.rglob("*") if path.is_file())
  if shutil.disk_usage(last.parent).free < size:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def score(folder: pathlib.Path) -> float | None:
  """The score of the checkpoint in a folder; None if it has none, or a damaged one."""
  try:
    value = reading.json_file(folder / "metrics" / "metrics").get(METRIC)
  except ValueError:
    return None
  return value if isinstance(value, float) else None


def drop_damaged_scores(folder: pathlib.Path) -> None:
  """Removes scores that cannot be read, without which a checkpoint is sound."""
  for path in folder.glob("*/metrics/metrics"):
    step = path.parent.parent
    if step.name.isdigit() and score(step) is None:
      say(f"{path} is damaged; this checkpoint is no candidate for the best")
      shutil.rmtree(path.parent)


def set_aside(folder: pathlib.Path, steps: Sequence[int]) -> None:
  """Moves checkpoints into a folder beside theirs, so that their steps are free."""
  aside = folder.with_name(f"{folder.name}-damaged")
  aside.mkdir(exist_ok=True)
  for step in steps:
    shutil.rmtree(aside / str(step), ignore_errors=True)
    (folder / str(step)).rename(aside / str(step))


def reason(error: Exception) -> str:
  """A message in one line, without what tensorstore appends about itself."""
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  full = os.strerror(errno.ENOSPC)
  if full in str(error):  # at the end of a long message
    return full
  return reading.in_line(str(error).partition(" [")[0])


def quieten() -> None:
  """Drops Orbax's notices, which come through absl's logger; its errors are raised."""
  for name, keep in (("absl", _is_ours), ("asyncio", _is_not_told_twice)):
    logger = logging.getLogger(name)
    if keep not in logger.filters:
      logger.addFilter(keep)


def _is_ours(record: logging.LogRecord) -> bool:
  return "orbax" not in record.pathname


def _is_not_told_twice(record: logging.LogRecord) -> bool:
  return "never retrieved" not in record.getMessage()  # of arrays after the first
