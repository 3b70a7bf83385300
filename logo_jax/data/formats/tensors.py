"""The files of a vault: metadata.json, and zarr arrays kept in an OCDBT database."""

from collections.abc import Iterator
import contextlib
import errno
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from logo_jax.checks import reading
from logo_jax.data.formats import episodes

METADATA = "metadata.json"
_NEEDED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("truncations", "infos.legals", "infos.state")
_FLAGS = ("terminals", "truncations")
TIME_AXIS = int(10e12)  # what vaults declare; the true length is in `vault_index`
_CHUNK = 1024  # time steps
_COMPRESSOR = {"id": "zstd", "level": 1}


class Vault(NamedTuple):
  """An open vault; source steps are those of row b = 0, then of b = 1, and so on."""

  folder: pathlib.Path
  metadata: dict[str, Any]
  arrays: dict[str, Any]  # open, [B, T, ...] each
  num_rows: int  # B
  length: int  # steps in each


def open_vault(folder: pathlib.Path) -> Vault:
  """Opens a vault for reading; nothing is ever written.

  Raises:
    ImportError: tensorstore is not installed.
    ValueError: a file is missing or damaged, or an array of another shape.
  """
  path = folder / METADATA
  metadata = reading.json_file(path)
  # The second name is that of vaults from before February 2024.
  keys = ("structure_shape", "structure")
  keys = [key for key in keys if key in metadata]
  if not keys:
    raise ValueError(f"{path} has neither structure_shape nor structure")
  names = _leaves(metadata[keys[0]])
  for name in _NEEDED:
    if name not in names:
      raise ValueError(f"{folder}: {name} is missing; it has {reading.listed(names)}")
  arrays = {
    name: open_array(folder, f"{name}.")  # all names end in a dot
    for name in (*_NEEDED, *OPTIONAL)
    if name in names
  }
  index = read(open_array(folder, "vault_index"), f"{folder}: vault_index")
  length = int(index.reshape(-1)[0]) if index.size and index.dtype.kind in "iu" else 0
  if length < 1:
    raise ValueError(f"{folder}: vault_index says that it holds {length} steps")
  _check(arrays, length, folder)
  return Vault(folder, metadata, arrays, arrays["observations"].shape[0], length)


def flags(vault: Vault) -> tuple[np.ndarray, np.ndarray]:
  """Where episodes end, and where they do so truly, bool `[B, T]` each.

  An agent has ended from its first flag in the episode on, whether the vault repeats
  the flag until the others end or not. The episode ends when all agents have, truly if
  each of them has a terminal.
  """
  flags = []
  for name in _FLAGS:
    if name in vault.arrays:
      block = vault.arrays[name][:, : vault.length]
      flag = read(block, f"{vault.folder}: {name}") != 0
      flags.append(flag.reshape(vault.num_rows, vault.length, -1))
  over = _all_since(np.logical_or.reduce(flags))  # [B, T], for an episode from t on
  truly = _all_since(flags[0])
  ended, terminal = np.zeros((2, vault.num_rows, vault.length), bool)
  for b in range(vault.num_rows):
    begin = 0
    while begin < vault.length:
      end = min(over[b, begin], vault.length - 1)
      ended[b, end], terminal[b, end] = True, truly[b, begin] <= end
      begin = end + 1
  return ended, terminal


def _all_since(flag: np.ndarray) -> np.ndarray:
  """When every agent has had its flag, counted from each step on.

  Args:
    flag: bool `[B, T, N]`.

  Returns:
    int64 `[B, T]`, a step; T where some agent never has it again.
  """
  length = flag.shape[1]
  step = np.where(flag, np.arange(length)[:, None], length)
  return np.minimum.accumulate(step[:, ::-1], axis=1)[:, ::-1].max(-1)


def fetcher(vault: Vault, name: str) -> episodes.Fetch:
  """Reads source steps of one array; damage raises a ValueError that names them."""
  array, length = vault.arrays[name], vault.length

  def steps(lo: int, hi: int) -> np.ndarray:
    blocks = []
    for b in range(lo // length, (hi - 1) // length + 1):
      begin, end = max(lo - b * length, 0), min(hi - b * length, length)
      where = f"{vault.folder}: {name}, steps {begin} to {end}"
      blocks.append(read(array[b, begin:end], where))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

  return steps


def open_array(folder: pathlib.Path, name: str) -> Any:
  """Opens an array for reading; nothing is ever written.

  Raises:
    ImportError: tensorstore is not installed.
    ValueError: there is no such array, or it is damaged.
  """
  ts = _tensorstore(folder)
  try:
    return ts.open(_spec(folder, name), open=True, read=True).result()
  except Exception as error:  # of several types, none of them tensorstore's own
    raise ValueError(f"{folder}: {name} cannot be opened: {_line(error)}") from None


def create_array(
  folder: pathlib.Path, name: str, shape: tuple[int, ...], dtype: Any
) -> Any:
  """Creates an array for writing, in chunks of time (axis 1) if it has that axis."""
  ts = _tensorstore(folder)
  chunk = (shape[0], _CHUNK, *shape[2:])[: len(shape)]
  return ts.open(
    _spec(folder, name) | {"metadata": {"compressor": _COMPRESSOR}},
    create=True,
    shape=shape,
    dtype=np.dtype(dtype).name,
    chunk_layout=ts.ChunkLayout(chunk_shape=chunk),
  ).result()


@contextlib.contextmanager
def errors_of_the_system() -> Iterator[None]:
  """Makes an `OSError` of what tensorstore raises when it cannot write."""
  try:
    yield
  except ValueError as error:
    full = os.strerror(errno.ENOSPC)
    raise OSError(full if full in str(error) else _line(error)) from None


def read(array: Any, where: str) -> np.ndarray:
  """Reads what an index expression on an open array has picked.

  Raises:
    ValueError: the file is damaged.
  """
  try:
    return np.asarray(array.read().result())
  except Exception as error:  # as above
    raise ValueError(f"{where} cannot be read: {_line(error)}") from None


def _tensorstore(folder: pathlib.Path) -> Any:
  try:
    import tensorstore
  except ImportError:
    raise ImportError(
      f"the vault {folder} needs tensorstore: pip install 'logo_jax[vault]'"
    ) from None
  return tensorstore


def _spec(folder: pathlib.Path, name: str) -> dict[str, Any]:
  base = {"driver": "file", "path": str(folder.absolute()) + "/"}
  return {"driver": "zarr", "kvstore": {"driver": "ocdbt", "base": base, "path": name}}


def _line(error: Exception) -> str:
  """The message without what tensorstore appends about itself, in brackets."""
  return " ".join(str(error).partition(" [")[0].split())


def _check(arrays: dict[str, Any], length: int, folder: pathlib.Path) -> None:
  shape = arrays["observations"].shape
  if len(shape) < 4:
    raise ValueError(
      f"{folder}: observations has shape {list(shape)}, must be [B, T, N, O]"
    )
  for name, array in arrays.items():
    where = f"{folder}: {name}"
    if array.dtype.numpy_dtype.kind not in "biuf":
      raise ValueError(f"{where} is of type {array.dtype.name}, must be numbers")
    agents = name in ("observations", "actions", "infos.legals")
    wanted = (shape[0], length, shape[2])[: 3 if agents else 2]
    got = array.shape[: len(wanted)]
    if got != (wanted[0], got[1], *wanted[2:]) or got[1] < length:
      raise ValueError(
        f"{where} has shape {list(array.shape)}, must begin with {list(wanted)}"
      )


def _leaves(structure: Any, prefix: str = "") -> list[str]:
  """Names of arrays in a nested structure, joined by dots."""
  if not isinstance(structure, dict):
    return [prefix]
  return [
    leaf
    for key, value in structure.items()
    for leaf in _leaves(value, f"{prefix}.{key}" if prefix else key)
  ]
