"""Opening HDF5 files, with their errors in one line."""

from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any

import numpy as np

from logo_jax.checks import reading
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
  except Exception as error:  # mostly of the system; of damaged headers, others
    raise ValueError(
      f"{path} is cut short or no HDF5: {reading.in_line(error)}"
    ) from None
  with file:
    yield file


def keys(path: pathlib.Path) -> list[str]:
  """The names at the root of a file."""
  with opened(path) as file:
    return _names(file, path)


def group(file: Any, path: pathlib.Path, key: str) -> Any:
  """A group of an open file, or of a group of it; links are not followed.

  Raises:
    ValueError: there is none of that name, listing those that there are, or it is a
      link or damaged.
  """
  import h5py

  names = _names(file, path)
  if key not in names:
    raise ValueError(f"{path}: {key} is missing; it has {reading.listed(names)}")
  try:
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
      raise ValueError("it is a link, which is not followed")
    found = file[key]
    if not isinstance(found, h5py.Group):
      raise ValueError("it is no group")
  except Exception as error:  # of many types where the file is damaged
    raise ValueError(
      f"{path}: {key} cannot be read: {reading.in_line(error)}"
    ) from None
  return found


def field(file: Any, path: pathlib.Path, key: str) -> Any:
  """A dataset of an open file.

  What lies elsewhere is not read, whatever the file says: neither links nor data in
  other files are followed.

  Raises:
    ValueError: there is none of that name, listing those that there are; it is a link,
      lies in another file, is empty, or is damaged.
  """
  import h5py

  names = _names(file, path)
  if key not in names:
    raise ValueError(f"{path}: {key} is missing; it has {reading.listed(names)}")
  try:
    link = file.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
      kind = "another file" if isinstance(link, h5py.ExternalLink) else "another place"
      raise ValueError(f"it is a link to {kind}, which is not followed")
    data = file[key]
    if not isinstance(data, h5py.Dataset):
      raise ValueError("it is no dataset")
    if data.is_virtual or data.external:
      raise ValueError("it lies in another file, which is not read")
    if not data.shape or 0 in data.shape:
      raise ValueError("it is empty or a single value")
  except Exception as error:  # of many types where the file is damaged
    raise ValueError(
      f"{path}: {key} cannot be read: {reading.in_line(error)}"
    ) from None
  return data


def fetcher(data: Any, path: pathlib.Path, key: str) -> episodes.Fetch:
  """Reads slices along the first axis of a dataset.

  The function that it gives raises a ValueError where the file is damaged.
  """

  def fetch(lo: int, hi: int) -> np.ndarray:
    try:
      return data[lo:hi]
    except Exception as error:  # as above
      raise ValueError(
        f"{path}: {key}[{lo}:{hi}] cannot be read: {reading.in_line(error)}"
      ) from None

  return fetch


def _names(file: Any, path: pathlib.Path) -> list[str]:
  try:
    return sorted(file)
  except Exception as error:  # as above
    raise ValueError(
      f"{path}: its names cannot be read: {reading.in_line(error)}"
    ) from None
