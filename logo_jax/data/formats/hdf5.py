"""Opening HDF5 files, with their errors in one line."""

from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any

import numpy as np

from logo_jax.data.formats import episodes

MAGIC = b"\x89HDF\r\n\x1a\n"


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Any]:
  """An open `h5py.File`, for reading.

  Raises:
    ImportError: h5py is not installed.
    ValueError: the file is cut short or no HDF5.
  """
  try:
    import h5py
  except ImportError:
    raise ImportError(
      f"reading {path} needs h5py: pip install 'logo_jax[hdf5]'"
    ) from None
  try:
    file = h5py.File(path, "r")
  except OSError as error:
    raise ValueError(f"{path} is cut short or no HDF5: {_line(error)}") from None
  with file:
    yield file


def keys(path: pathlib.Path) -> list[str]:
  """The names at the root of a file."""
  with opened(path) as file:
    return sorted(file)


def field(file: Any, path: pathlib.Path, key: str) -> Any:
  """A dataset of an open file.

  Raises:
    ValueError: there is none of that name; lists those that there are.
  """
  if key not in file or not hasattr(file[key], "dtype"):
    raise ValueError(f"{path}: {key} is missing; it has {', '.join(sorted(file))}")
  return file[key]


def fetcher(data: Any, path: pathlib.Path, key: str) -> episodes.Fetch:
  """Reads slices along the first axis of a dataset.

  The function that it gives raises a ValueError where the file is damaged.
  """

  def fetch(lo: int, hi: int) -> np.ndarray:
    try:
      return data[lo:hi]
    except OSError as error:
      raise ValueError(
        f"{path}: {key}[{lo}:{hi}] cannot be read: {_line(error)}"
      ) from None

  return fetch


def _line(error: Exception) -> str:
  return " ".join(str(error).split())
