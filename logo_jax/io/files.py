"""Files that are whole or absent: write under a temporary name, then rename."""

from collections.abc import Iterator
import contextlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from typing import Any


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
  """Lets errors of the system name what was being written.

  Args:
    path: the file or folder that the block writes.

  Raises:
    OSError: the block did, for example on a full disk.
  """
  try:
    yield
  except FileExistsError:
    raise
  except OSError as error:
    reason = error.strerror or f"{error}; is the disk full?"
    raise OSError(f"{path} cannot be written: {reason}") from None


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
  """Gives a temporary name beside `path` that takes its place at the end.

  When the block raises, the temporary file is removed and `path` is untouched.

  Args:
    path: the file to create or replace; folders above it are made.

  Yields:
    The name to write to; it has the same suffix as `path`.
  """
  path = pathlib.Path(path)
  with writing(path):
    yield from _replacing(path)


def _replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, name = tempfile.mkstemp(
    prefix=f".{path.stem}-", suffix=".tmp" + path.suffix, dir=path.parent
  )
  os.close(handle)
  temporary = pathlib.Path(name)
  try:
    yield temporary
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)  # mkstemp makes private files
    with temporary.open("rb") as file:
      os.fsync(file.fileno())
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def making(folder: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
  """Gives a new folder beside `folder` that takes its name at the end.

  When the block raises, it is removed, and so are folders above that were made for it.

  Args:
    folder: the folder to make; there is nothing yet, or an empty one.

  Yields:
    The folder to write into.
  """
  folder = pathlib.Path(folder)
  partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
  made = [parent for parent in folder.parents if not parent.exists()]
  try:
    with writing(folder):
      partial.mkdir(parents=True)
      yield partial
      partial.rename(folder)
  except BaseException:
    shutil.rmtree(partial, ignore_errors=True)
    with contextlib.suppress(OSError):  # somebody else may have put something there
      for parent in made:
        parent.rmdir()
    raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
  """Writes `text` to `path`, all of it or nothing."""
  with replacing(path) as temporary:
    temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
  """Writes `value` as indented JSON, all of it or nothing; see `plain`."""
  write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
  """Turns `value` into what JSON can hold.

  Arrays and their scalars become lists and numbers, tuples become lists, paths become
  strings, and numbers that JSON lacks (NaN, infinities) become None.

  Raises:
    ValueError: a value is of another type, or a key of a dict is no string.
  """
  if value is None or isinstance(value, str | bool | int):
    return value
  if isinstance(value, float):
    return float(value) if math.isfinite(value) else None
  if isinstance(value, dict):
    for key in value:
      if not isinstance(key, str):
        raise ValueError(f"key {key!r} is not allowed in JSON; use a string")
    return {key: plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [plain(item) for item in value]
  if isinstance(value, os.PathLike):
    return os.fspath(value)
  if hasattr(value, "tolist"):  # arrays and their scalars, without importing them
    return plain(value.tolist())
  raise ValueError(f"value {value!r} is not allowed in JSON; use numbers or strings")
