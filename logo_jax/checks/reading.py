"""Files that anybody may have written, read so that every fault is told in one line.

Parsers fail in ways of their own (a header that overflows, a bracket that is never
closed, brackets in brackets by the thousand). Here each of them becomes a `ValueError`
that names the file. Nothing is ever unpickled.
"""

from collections.abc import Iterable, Iterator
import difflib
import json
import math
import os
import pathlib
from typing import Any
import warnings

import numpy as np

_DEPTH = 50  # of lists and objects in each other; ours have 6
_LONG = 300  # characters of somebody else's message, or 60 of a name
_LISTED = 10  # names of a list


def in_line(error: object, most: int = _LONG) -> str:
  """A message in one line, cut where it is long."""
  text = " ".join(str(error).split())
  return text if len(text) <= most else f"{text[: most - 3]}..."


def listed(names: Iterable[object], none: str = "none", near: str = "") -> str:
  """Names side by side: the first ten, and how many there are beside them.

  Args:
    names: of any number.
    none: what is said if there are none.
    near: of many, those like this one come first.
  """
  shown = [in_line(name, 60) for name in names]
  if near and len(shown) > _LISTED:

    def unlike(name: str) -> float:
      return -difflib.SequenceMatcher(None, name, near).ratio()

    shown.sort(key=unlike)
  more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
  return ", ".join(shown[:_LISTED]) + more or none


def json_text(text: bytes, where: str) -> Any:
  """What JSON says, in UTF-8, with finite numbers only.

  Args:
    text: the bytes.
    where: what to call it in an error.

  Raises:
    ValueError: it is no JSON, or nested deeper than anything of ours.
  """
  try:
    # "NaN" and "Infinity" are no JSON, but Python's parser takes them.
    value = json.loads(
      text.decode(), parse_constant=_finite, parse_float=_finite, parse_int=_whole
    )
    _check_depth(value, _DEPTH)
  except Exception as error:  # of several types: the parser's own limits, too
    raise ValueError(f"{where} is not JSON: {in_line(error)}") from None
  return value


def json_file(path: str | os.PathLike[str], missing: str = "") -> dict[str, Any]:
  """The JSON object in a file.

  Args:
    path: of the file.
    missing: the whole error if there is no such file; "" names the file.

  Raises:
    ValueError: it is missing, cannot be read, or holds no JSON object.
  """
  path = pathlib.Path(path)
  try:
    text = path.read_bytes()
  except FileNotFoundError:
    raise ValueError(missing or f"{path} is missing") from None
  except OSError as error:
    raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
  value = json_text(text, str(path))
  if not isinstance(value, dict):
    raise ValueError(
      f"{path} must hold a JSON object, but holds {in_line(json.dumps(value), 60)}"
    )
  return value


def json_lines(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, dict[str, Any]]]:
  """The JSON objects of a file, one a line, beside the lines themselves.

  A last line that a killed process left torn is left out.

  Args:
    path: of the file, which must exist.

  Raises:
    ValueError: another line holds no JSON object; names the file and the line.
  """
  lines = pathlib.Path(path).read_bytes().splitlines(keepends=True)
  for number, line in enumerate(lines, 1):
    where = f"{path}, line {number}"
    if not line.endswith(b"\n"):
      return  # only the last line can be so
    try:
      value = json_text(line, where)
    except ValueError:
      if number == len(lines):
        return
      raise
    if not isinstance(value, dict):
      raise ValueError(f"{where} must be a JSON object, is {in_line(value, 60)}")
    yield line, value


def npy(path: str | os.PathLike[str]) -> np.ndarray:
  """The array of numbers or booleans in a .npy file, memory-mapped.

  Raises:
    ValueError: it is missing, cut short, no .npy file, or holds other things than
      numbers, as an array of objects does, which are pickled.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise ValueError(f"{path} is missing")
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # what Python thinks of a header's text
      # Of all that np.load opens, arrays alone.
      array = np.lib.format.open_memmap(path, mode="r")
  except Exception as error:  # of as many types as the header's parser knows
    raise ValueError(
      f"{path} is cut short or not a .npy array: {in_line(error)}"
    ) from None
  _check_numbers(array, str(path))
  return array


def npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """The arrays of numbers in an .npz file, by name.

  Raises:
    ValueError: it is missing, damaged, no .npz file, or holds other things.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise ValueError(f"{path} is missing")
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
  except Exception as error:  # those of the zip archive beside those of its arrays
    if "Object arrays" in str(error):  # numpy's own words advise to allow them
      raise ValueError(
        f"{path} holds objects, which are pickled, must hold arrays of numbers"
      ) from None
    raise ValueError(f"{path} is damaged or no .npz file: {in_line(error)}") from None
  for name, array in arrays.items():
    _check_numbers(array, f"{path}: {in_line(name, 60)}")
  return arrays


def _check_numbers(array: np.ndarray, where: str) -> None:
  if array.dtype.kind not in "biuf":
    raise ValueError(f"{where} is of type {array.dtype}, must be numbers")


def _finite(text: str) -> float:
  value = float(text)
  if not math.isfinite(value):
    raise ValueError(f"{in_line(text, 60)} is no finite number")
  return value


def _whole(text: str) -> int:
  if len(text) > 40:
    raise ValueError(f"{in_line(text, 60)} is too large a number")
  return int(text)


def _check_depth(value: Any, left: int) -> None:
  if not isinstance(value, dict | list):
    return
  if not left:
    raise ValueError(f"it is nested more than {_DEPTH} deep")
  for item in value.values() if isinstance(value, dict) else value:
    _check_depth(item, left - 1)
