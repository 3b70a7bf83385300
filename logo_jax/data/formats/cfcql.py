"""CFCQL's SMAC datasets: one HDF5 file per map and quality.

Episodes of at most T steps lie in arrays `[E, T + 1, ...]`, padded at the end: `filled`
is 1 for what was played, the final observation included, and `terminated` is 1 at the
step that truly ended the game. In CFCQL's own files it is not at the time limit; in
others of the same layout it is, which nothing in the file tells.
"""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.data import store
from logo_jax.data.formats import episodes, hdf5, settle

KEYS = ("state", "obs", "actions", "avail_actions", "reward", "terminated", "filled")
_QUALITIES = ("medium_replay", "medium", "expert", "mixed")


def read(path: str | os.PathLike, time_limit: int | None = None) -> store.StoredDataset:
  """Reads a file; `probs` and whatever else it holds is left alone.

  An episode ends at its first `terminated` step, otherwise with its last filled one.
  Where the final observation of a terminated episode is not filled, the last one is
  repeated: its discount is 0, so nothing depends on it.

  Args:
    path: the file, for example 2s3z_medium_replay.h5.
    time_limit: takes episodes of just so many steps for cut by the limit, whatever
      `terminated` says; one whose final observation is not filled gives up its last
      step for it. None believes the file.

  Raises:
    ImportError: h5py is not installed.
    ValueError: the file is damaged, of another layout, or breaks a rule of ours.
  """
  path = pathlib.Path(path)
  with hdf5.opened(path) as file:
    data = {key: hdf5.field(file, path, key) for key in KEYS}
    num_episodes, slots = _check(data, path)
    get = {key: _by_step(data[key], path, key) for key in KEYS}
    total = num_episodes * slots
    layout, altered = _plan(
      get["filled"](0, total).reshape(num_episodes, slots),
      get["terminated"](0, total).reshape(num_episodes, slots),
      time_limit,
      path,
    )
    fields = episodes.Fields(
      obs=episodes.gather(get["obs"], layout, episodes.single),
      state=episodes.gather(get["state"], layout, episodes.single),
      legal=episodes.gather(get["avail_actions"], layout, lambda x: x != 0),
      action=episodes.gather(
        get["actions"], layout, lambda x: episodes.whole(x[..., 0], f"{path}: actions")
      ),
      reward=episodes.gather(
        get["reward"], layout, lambda x: episodes.single(x.reshape(-1))
      ),
    )
  about = _about(path, time_limit, time_limit or slots - 1)
  return episodes.finish(fields, layout, dataclasses.replace(about, altered=altered))


def _check(data: dict[str, Any], path: pathlib.Path) -> tuple[int, int]:
  """The numbers of episodes and of steps that each has room for."""
  shape = data["avail_actions"].shape
  if len(shape) != 4:
    raise ValueError(
      f"{path}: avail_actions has shape {list(shape)}, must be [E, T + 1, N, A]"
    )
  e, t, n, a = shape
  expected: dict[str, tuple[int | str, ...]] = {
    "state": (e, t, "S"),
    "obs": (e, t, n, "O"),
    "actions": (e, t, n, 1),
    "avail_actions": (e, t, n, a),
    "reward": (e, t, 1),
    "terminated": (e, t, 1),
    "filled": (e, t, 1),
  }
  for key, wanted in expected.items():
    optional = key in ("reward", "terminated", "filled")  # a trailing axis of 1
    if optional and len(data[key].shape) == 2:
      wanted = wanted[:2]
    episodes.check_shape(data[key], wanted, f"{path}: {key}")
  return e, t


def _by_step(data: Any, path: pathlib.Path, key: str) -> episodes.Fetch:
  """Source steps are the slots of all episodes, one episode after the other."""
  slots, fetch = data.shape[1], hdf5.fetcher(data, path, key)

  def steps(lo: int, hi: int) -> np.ndarray:
    first, last = lo // slots, -(-hi // slots)
    block = fetch(first, last)
    block = block.reshape(-1, *block.shape[2:])
    return block[lo - first * slots : hi - first * slots]

  return steps


def _plan(
  filled: np.ndarray,
  terminated: np.ndarray,
  time_limit: int | None,
  path: pathlib.Path,
) -> tuple[episodes.Plan, dict[str, int]]:
  """The rows, and how much reading alters: steps dropped and episodes cut."""
  filled = filled != 0
  count = filled.sum(-1)
  slots = np.arange(filled.shape[1])
  if not np.array_equal(filled, slots < count[:, None]):
    odd = int(np.argmax((filled != (slots < count[:, None])).any(-1)))
    raise ValueError(f"{path}: filled of episode {odd} has a gap")
  ended = (terminated != 0) & filled
  terminal = ended.any(-1)
  steps = np.where(terminal, ended.argmax(-1) + 1, np.maximum(count - 1, 0))
  cut = settle.cut_at(steps, terminal, time_limit, str(path))
  stop = np.where(terminal, np.minimum(steps + 1, count), count)
  terminal &= ~cut
  first = np.arange(len(filled)) * filled.shape[1]
  append = terminal & (steps == count)
  beyond = append & (count == filled.shape[1])
  if beyond.any():
    raise ValueError(
      f"{path}: terminated of episode {int(np.argmax(beyond))} is set in the last slot,"
      " which is for a final observation, beyond the time limit"
    )
  layout = episodes.plan(first, first + stop, append, terminal, str(path))
  # A filled slot is a step or an episode's final observation.
  unused = filled.sum() - len(layout.take) + append.sum()
  given_up = (cut & (steps == count)).sum()
  counts = settle.counted(steps_dropped=unused + given_up, episodes_cut=cut.sum())
  return layout, counts


def _about(
  path: pathlib.Path, time_limit: int | None, max_steps: int
) -> episodes.About:
  scenario, quality = path.stem, None
  for suffix in _QUALITIES:
    if path.stem.endswith(f"_{suffix}"):
      scenario = path.stem.removesuffix(f"_{suffix}")
      quality = suffix.replace("_", "-")
      break
  return episodes.About(
    name="/".join(["cfcql", scenario] + ([quality] if quality else [])),
    scenario=None,  # StarCraft II itself; SMAX is another game
    spec_name=f"smac/{scenario}",
    max_steps=max_steps,
    source={"format": "cfcql", "path": path.name}
    | ({"time_limit": time_limit} if time_limit else {}),
    where=str(path),
  )
