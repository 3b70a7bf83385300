"""The lines of a run's metrics.jsonl: phase, step, time, the metrics, and by seed."""

from collections.abc import Iterator
import math
import os
from typing import Any

from logo_jax.checks import reading

# In the order in which a run goes through them.
PHASES = ("model", "clone", "value", "train")
COLUMNS = ("phase", "step", "time", "by_seed")


def read(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, dict[str, Any]]]:
  """The rows of a file beside their lines, in order; null reads as NaN.

  A last line that is not complete, of a run that goes on or was killed, is left out.

  Args:
    path: of the file, which must exist.

  Raises:
    ValueError: names the line, the column, the value and what is allowed.
  """
  for number, (line, row) in enumerate(reading.json_lines(path), 1):
    row = {name: _with_nan(value) for name, value in row.items()}
    for name in {"phase": None, "step": None} | row:
      value = row.get(name, "nothing")
      allowed = _broken(name, value)
      if allowed:
        where = f"{path}, line {number}: {reading.in_line(name, 60)}"
        given = reading.in_line(repr(value), 60)
        raise ValueError(f"{where}: must be {allowed}; got {given}")
    yield line, row


def _broken(column: str, value: Any) -> str:
  """What is allowed in a column, if the value is not that."""
  if column == "phase":
    return "" if value in PHASES else " or ".join(PHASES)
  if column == "step":
    good = type(value) is int and 0 <= value < 2**63
    return "" if good else "a whole number, 0 or more"
  if column == "by_seed":
    good = isinstance(value, dict) and all(
      isinstance(x, list) and all(type(y) in (int, float) for y in x)
      for x in value.values()
    )
    return "" if good else "a list of numbers for each metric"
  return "" if type(value) in (int, float) else "a number or null"


def _with_nan(value: Any) -> Any:
  """What JSON holds, with NaN for null."""
  if isinstance(value, dict):
    return {k: _with_nan(v) for k, v in value.items()}
  if isinstance(value, list):
    return [_with_nan(v) for v in value]
  return math.nan if value is None else value
