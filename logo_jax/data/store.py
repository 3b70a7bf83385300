"""Datasets on disk: a folder of plain .npy arrays and card.json.

Rows stand as in `types.Rows`, one array per field, next to `episode_start`: the rows
where episodes begin, and the number of rows last. The card says what the data are and
holds a hash of them. Nothing is pickled, and the same data give the same bytes.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any, NamedTuple

import numpy as np

from logo_jax import types
from logo_jax.checks import reading, schema
from logo_jax.data import coverage, validate
from logo_jax.envs import base
from logo_jax.io import files

FORMAT_VERSION = 1
FIELDS = (*types.STORED, "episode_start")
CARD = "card.json"


@dataclasses.dataclass(frozen=True)
class _Written:
  """What every card on disk has; there may be more."""

  format_version: int
  content_hash: str
  shapes: dict[str, tuple[int, ...]]
  num_transitions: int
  num_episodes: int
  length_mean: float
  length_min: int
  length_max: int
  return_mean: float
  return_std: float
  return_min: float
  return_max: float


@dataclasses.dataclass(frozen=True)
class _Known:
  """What is used of a card where it is there; all else may be anything."""

  name: str | None = None
  scenario: str | None = None
  win_rate: float | None = None


class StoredDataset(NamedTuple):
  """A dataset as it lies on disk."""

  rows: types.Rows  # numpy arrays, memory-mapped where the format allows it
  episode_start: np.ndarray  # int64 [E + 1]
  card: dict[str, Any]

  @property
  def spec(self) -> types.EnvSpec:
    """The environment that the data come from."""
    return spec_of(self.card, "card")


def write(
  folder: str | os.PathLike,
  rows: types.Rows,
  episode_start: np.ndarray,
  card: dict[str, Any],
) -> pathlib.Path:
  """Writes a dataset, all of it or nothing.

  Args:
    folder: where; it may exist only if it is empty or holds exactly this dataset.
    rows: numpy arrays, types and shapes as in `types.Rows`.
    episode_start: int64 `[E + 1]`, row offsets of episodes, the number of rows last.
    card: what is known of the data; must have `spec`, the fields of an `EnvSpec`. The
      format version, the statistics and the content hash are added here.

  Returns:
    The folder.

  Raises:
    ValueError: the data break a rule of the format, or the folder holds other data.
  """
  folder = pathlib.Path(folder)
  arrays = rows.stored() | {"episode_start": episode_start}
  arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
  card = complete_card(arrays, card)
  text = json.dumps(card, indent=2, sort_keys=True, allow_nan=False) + "\n"
  if not is_free(folder):
    if (folder / CARD).is_file() and is_said(reading.json_file(folder / CARD), card):
      read(folder)
      return folder
    raise ValueError(f"{folder} exists and holds something else; remove it first")
  partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
  with files.writing(folder):
    partial.mkdir(parents=True)
  try:
    for name, array in arrays.items():
      with files.writing(folder / f"{name}.npy"):
        np.save(partial / f"{name}.npy", array, allow_pickle=False)
    with files.writing(folder / CARD):
      (partial / CARD).write_text(text)
    partial.rename(folder)
  except OSError:
    shutil.rmtree(partial, ignore_errors=True)
    if is_free(folder):
      raise
    return write(folder, rows, episode_start, card)  # another process was quicker
  except BaseException:
    shutil.rmtree(partial, ignore_errors=True)
    raise
  return folder


def is_said(stored: dict[str, Any], card: dict[str, Any]) -> bool:
  """Whether all that a stored card says is so; it may lack what later versions add."""
  card = json.loads(json.dumps(card))  # as it would be read: lists for tuples
  return all(key in card and card[key] == value for key, value in stored.items())


def is_free(folder: str | os.PathLike) -> bool:
  """Whether there is nothing at a path, or but an empty folder."""
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    return not folder.exists()
  return not any(folder.iterdir())


def terminal(stored: StoredDataset, what: str) -> np.ndarray:
  """Which episodes ended by themselves, bool `[E]`.

  Args:
    stored: the dataset.
    what: the format that knows ends and cuts alone, for the error.

  Raises:
    ValueError: the discount of an episode's last step is neither 0 nor 1.
  """
  last = np.asarray(stored.episode_start)[1:] - 2
  discount = np.asarray(stored.rows.discount)[last]
  wrong = (discount != 0) & (discount != 1)
  if wrong.any():
    row = last[np.argmax(wrong)]
    raise ValueError(
      f"discount {stored.rows.discount[row]} of row {row}: {what} has only 0 and 1"
    )
  return discount == 0


def complete_card(
  arrays: validate.Arrays, card: dict[str, Any], where: str = "dataset"
) -> dict[str, Any]:
  """Checks a dataset and adds to its card what follows from the data.

  Args:
    arrays: contiguous, by the names in `FIELDS`.
    card: what is known of the data; must have `spec`, the fields of an `EnvSpec`.
    where: what to call the dataset in an error.

  Returns:
    The card with the format version, shapes, statistics and the content hash.

  Raises:
    ValueError: the data break a rule of the format.
  """
  spec = spec_of(card, f"{where}: card")
  validate.layout(arrays, spec, where)
  validate.contents(arrays, spec, where)
  return card | {
    "format_version": FORMAT_VERSION,
    "shapes": {name: list(array.shape) for name, array in arrays.items()},
    **_statistics(arrays),
    "content_hash": _content_hash(arrays),
  }


def read(folder: str | os.PathLike, verify: bool = True) -> StoredDataset:
  """Opens a dataset without loading it into memory.

  Args:
    folder: the dataset's folder.
    verify: also check every value and the content hash, about a second per 300 MB.

  Raises:
    FileNotFoundError: there is no such folder.
    ValueError: a file is missing, cut short, corrupt or breaks a rule of the format.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    beside = sorted(path.name for path in folder.parent.glob(f"{folder.name}@*"))
    also = f"; beside it there is {', '.join(beside[:5])}" if beside else ""
    raise FileNotFoundError(f"there is no dataset folder {folder}{also}")
  card = reading.json_file(folder / CARD)
  check_card(card, str(folder / CARD))
  spec = spec_of(card, str(folder / CARD))
  arrays: validate.Arrays = {
    name: reading.npy(folder / f"{name}.npy") for name in FIELDS
  }
  for name, array in arrays.items():
    if list(array.shape) != card["shapes"].get(name):
      raise ValueError(
        f"{folder / name}.npy has shape {list(array.shape)}, {CARD} says "
        f"{card['shapes'].get(name)}"
      )
  validate.layout(arrays, spec, str(folder))
  if verify:
    validate.contents(arrays, spec, str(folder))
    content_hash = _content_hash(arrays)
    if content_hash != card["content_hash"]:
      raise ValueError(
        f"{folder} is corrupt: the arrays' hash is {content_hash}, {CARD} says "
        f"{card['content_hash']}"
      )
  rows = types.Rows(*(arrays[name] for name in types.STORED))
  return StoredDataset(rows, arrays["episode_start"], card)


def check_card(card: dict[str, Any], where: str) -> None:
  """Refuses a card from disk that lacks something, or has it in another type.

  Raises:
    ValueError: names the field, what it is and what it must be.
  """
  version = card.get("format_version")
  if version != FORMAT_VERSION:
    raise ValueError(f"{where}: format_version {version!r} must be {FORMAT_VERSION}")
  written = schema.picked(_Written, card, f"{where}: ")
  schema.picked(_Known, card, f"{where}: ")
  spec_of(card, where)
  start, rows = written.shapes.get("episode_start"), written.shapes.get("reward")
  episodes, steps = written.num_episodes, written.num_transitions
  if (start, rows) != ((episodes + 1,), (steps + episodes,)) or episodes < 1:
    raise ValueError(
      f"{where}: num_episodes {episodes} and num_transitions {steps} are not those of "
      f"shapes: episode_start {start}, reward {rows}"
    )


def spec_of(card: dict[str, Any], where: str) -> types.EnvSpec:
  """The environment that a card is of; a ValueError names `where` if it has none."""
  given = card.get("spec")
  if not isinstance(given, dict):
    raise ValueError(f"{where}: spec: must be of type object; got {given!r}")
  spec = schema.build(types.EnvSpec, given, f"{where}: spec.", ignore=("layout",))
  for name in ("num_agents", "obs_dim", "state_dim", "action_dim", "max_steps"):
    if not 1 <= getattr(spec, name) < 2**31:
      raise ValueError(
        f"{where}: spec.{name}: must be at least 1, got {getattr(spec, name)}"
      )
  sizes = spec.obs_sizes
  inside = all(0 <= size <= spec.obs_dim for size in sizes)
  if sizes and not (len(sizes) == spec.num_agents and inside):
    raise ValueError(
      f"{where}: spec.obs_sizes: must be {spec.num_agents} numbers up to obs_dim, "
      f"{spec.obs_dim}; got {list(sizes)}"
    )
  return dataclasses.replace(spec, layout=base.layout(spec))


def _content_hash(arrays: validate.Arrays) -> str:
  """SHA-256 over name, type, shape and bytes of every array, in the order of FIELDS."""
  digest = hashlib.sha256()
  for name in FIELDS:
    array = arrays[name]
    digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
  return digest.hexdigest()


def _statistics(arrays: validate.Arrays) -> dict[str, Any]:
  start = arrays["episode_start"]
  lengths = np.diff(start) - 1
  returns = np.add.reduceat(arrays["reward"].astype(np.float64), start[:-1])
  covered = coverage.measure(arrays["obs"], arrays["action"], arrays["reward"], start)
  return {
    "num_transitions": int(lengths.sum()),
    "num_episodes": len(lengths),
    "length_mean": float(lengths.mean()),
    "length_min": int(lengths.min()),
    "length_max": int(lengths.max()),
    "return_mean": float(returns.mean()),
    "return_std": float(returns.std()),
    "return_min": float(returns.min()),
    "return_max": float(returns.max()),
    "saco": covered.saco,
    "identical_episodes": float(covered.identical.mean()),  # to an earlier one; a share
  }
