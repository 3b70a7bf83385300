"""Datasets that others have published, opened as they are.

Each reader gives rows in our own layout, checked and with a card; the file that it was
given is never written to, and nothing is ever unpickled.
"""

from collections.abc import Callable, Iterator
import itertools
import os
import pathlib
from typing import Any, NamedTuple
import zipfile

from logo_jax.checks import reading
from logo_jax.data import store
from logo_jax.data.formats import (
  arrays,
  cfcql,
  hdf5,
  minari,
  omar,
  omiga,
  tensors,
  vault,
)


class _Format(NamedTuple):
  """A format and the options that its reader has."""

  read: Callable[..., store.StoredDataset]
  options: tuple[str, ...] = ()


_FORMATS = {
  "own": _Format(store.read),
  "vault": _Format(vault.read, ("time_limit", "action_range", "team_reward")),
  "cfcql": _Format(cfcql.read, ("time_limit",)),
  "minari": _Format(minari.read),
  "npz": _Format(arrays.read, ("action_range", "team_reward")),
  "omiga": _Format(omiga.read, ("timeout_bootstrap",)),
  "omar": _Format(
    omar.read, ("time_limit", "num_agents", "action_range", "team_reward")
  ),
}
_UNDERSTOOD = (
  "our own folders (card.json), OG-MARL's vaults (<scenario>.vlt/<quality>), CFCQL's "
  "SMAC files and OMIGA's MaMuJoCo files (HDF5), OMAR's folders (obs_0.npy, ...), .npz "
  "files of episodes as data.from_arrays takes them"
)
_SUFFIXES = (".h5", ".hdf5", ".hdf", ".vlt", ".zip", ".npy", ".npz", ".pt", ".pkl")
_DEPTH = 4  # folders below the one given in which to look for a dataset


def is_path(name: str) -> bool:
  """Whether `name` is meant as a path, not as the name of one of our own datasets.

  True if it exists, has a suffix of a known format, or begins as only paths do.
  """
  return (
    name.endswith(_SUFFIXES)
    or name.startswith(("/", "./", "../", "~"))
    or os.path.exists(name)
  )


def read(path: str | os.PathLike, **options: Any) -> store.StoredDataset:
  """Opens a dataset of any known format.

  Args:
    path: a file or a folder. A folder above a dataset will do if there is only one.
    **options: of the format's reader: `time_limit` of a vault, a CFCQL file or an OMAR
      folder; `action_range` and `team_reward` of a vault, an OMAR folder or .npz file;
      `num_agents` of an OMAR folder; `timeout_bootstrap` of an OMIGA file.

  Returns:
    The dataset; memory-mapped if it is our own, in memory otherwise. Its card has the
    statistics and the content hash that `store.write` would give it, `scenario` is the
    environment of ours that plays it or None, and `win_rate` is there only if known.
    Of others' data `altered` says what reading did to them (`remarks.remarks` puts it
    in words), and `action_bounds` what [-1, 1] stands for where actions were rescaled.

  Raises:
    FileNotFoundError: there is no such file or folder.
    ImportError: the package behind the format is not installed.
    ValueError: not understood, several datasets, damaged data or an unknown option.
  """
  path = pathlib.Path(path).expanduser()
  if not path.exists():
    raise FileNotFoundError(f"there is no dataset file or folder {path}")
  path, kind = _find(path)
  known = _FORMATS[kind].options
  for option in options:
    if option not in known:
      raise ValueError(
        f"{path} is of the format {kind}, which has no option {option}; it has "
        f"{', '.join(known) or 'none'}"
      )
  return _FORMATS[kind].read(path, **options)


def _find(path: pathlib.Path) -> tuple[pathlib.Path, str]:
  """The one dataset at or below a path, and its format."""
  kind = _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
  if kind:
    return path, kind
  found = list(_datasets(path, _DEPTH))
  if len(found) == 1:
    return _find(found[0])
  if found:
    names = reading.listed(entry.relative_to(path) for entry in found)
    raise ValueError(f"{path} holds several datasets, name one: {names}")
  for file in itertools.islice(path.rglob("*"), 100):
    if file.is_file():
      _refuse_pickle(file)
  raise ValueError(f"{path} holds no dataset; understood are {_UNDERSTOOD}")


def _datasets(folder: pathlib.Path, depth: int) -> Iterator[pathlib.Path]:
  for entry in sorted(folder.iterdir()):
    if entry.name.startswith("."):
      continue
    if entry.is_dir():
      if _kind_of_folder(entry):
        yield entry
      elif depth > 1:
        yield from _datasets(entry, depth - 1)
    elif entry.suffix in (".h5", ".hdf5"):
      yield entry


def _kind_of_folder(path: pathlib.Path) -> str | None:
  if (path / store.CARD).is_file():
    return "own"
  if minari.is_one(path):
    return "minari"
  if (path / tensors.METADATA).is_file() or (path / "manifest.ocdbt").is_file():
    return "vault"
  if (path / "obs_0.npy").is_file():
    return "omar"
  return None


def _kind_of_file(path: pathlib.Path) -> str:
  """The format of a file, by what it begins with.

  Raises:
    ValueError: none that is understood; says what to do instead where that is known.
  """
  with path.open("rb") as file:
    head = file.read(len(hdf5.MAGIC))
  if head == hdf5.MAGIC:
    keys = hdf5.keys(path)
    for kind, wanted in (("cfcql", cfcql.KEYS), ("omiga", omiga.KEYS)):
      if len(set(wanted) & set(keys)) > len(wanted) / 2:
        return kind
    raise ValueError(
      f"{path} is an HDF5 file with {reading.listed(keys, 'nothing in it')}; "
      f"understood are CFCQL's, with {', '.join(cfcql.KEYS)}, and OMIGA's, with "
      f"{', '.join(omiga.KEYS)}"
    )
  _refuse_pickle(path)
  if zipfile.is_zipfile(path):
    if path.suffix == ".npz":
      return "npz"
    raise ValueError(f"{path} is a zip archive; unpack it and name the folder")
  if path.suffix == ".npy" or path.name in (store.CARD, tensors.METADATA):
    raise ValueError(f"{path} is a part of a dataset; name its folder, {path.parent}")
  if path.suffix in (".h5", ".hdf5"):
    raise ValueError(f"{path} is cut short or no HDF5: it does not begin like one")
  if path.suffix == ".npz":
    raise ValueError(f"{path} is cut short or no .npz file: it does not end like one")
  raise ValueError(f"{path} is no dataset; understood are {_UNDERSTOOD}")


def _refuse_pickle(path: pathlib.Path) -> None:
  with path.open("rb") as file:
    head = file.read(2)
  is_pickle = head[:1] == b"\x80" and head[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")
  if zipfile.is_zipfile(path):  # as torch writes since version 1.6
    try:
      with zipfile.ZipFile(path) as archive:
        is_pickle = any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
      raise ValueError(f"{path} is a damaged zip archive: {error}") from None
  if is_pickle or path.suffix in (".pkl", ".pickle", ".pt", ".pth"):
    raise ValueError(
      f"{path} is a pickle, as torch.save writes, like OMIGA's SMAC data: loading it "
      "would run whatever code it holds, so it is refused; use CFCQL's HDF5 file or "
      "OG-MARL's vault of the same map"
    )
