"""Minari datasets of joint play, for what reads those; ours come back as they were.

Minari has one agent. A team that shares its reward is one: it observes what all agents
see, the state and what is legal, and its action is everybody's.

    observations   Dict(obs [T + 1, N, O], state [T + 1, S], legal [T + 1, N, A])
    actions        MultiDiscrete [T, N], or Box [T, N, A] within -1 and 1
    rewards, terminations, truncations   [T]

The folder <name>-v<number> holds `data/`, as below Minari's own root; our card lies in
its metadata.json under "logo_jax".
"""

import importlib.metadata
import os
import pathlib
import re
from typing import Any

import numpy as np

from logo_jax.checks import reading
from logo_jax.data import store
from logo_jax.data.formats import episodes, hdf5
from logo_jax.io import files

DATA, FILE, METADATA = "data", "main_data.hdf5", "metadata.json"
_MARK = "logo_jax"
_SEEN = ("obs", "state", "legal")


def is_one(folder: pathlib.Path) -> bool:
  """Whether a folder looks like a dataset of Minari's."""
  return (folder / DATA / FILE).is_file() and (folder / DATA / METADATA).is_file()


def write(stored: store.StoredDataset, folder: str | os.PathLike) -> pathlib.Path:
  """Writes a dataset as one of Minari's, all of it or nothing.

  Args:
    stored: the dataset.
    folder: where, for example <root>/stag-hunt-random-v0, which `minari.load_dataset`
      opens by its name with MINARI_DATASETS_PATH=<root>; must not exist, or be empty.

  Returns:
    The folder.

  Raises:
    ImportError: minari is not installed.
    ValueError: the folder exists or has another kind of name, the data break a rule of
      ours, or a discount is neither 0 nor 1, which terminations cannot tell.
  """
  folder = pathlib.Path(folder)
  if not re.fullmatch(r"[-\w]+-v\d+", folder.name):
    raise ValueError(f"{folder} must be named <name>-v<number>, as Minari's ids are")
  if not store.is_free(folder):
    raise ValueError(f"{folder} exists; remove it first")
  _imported(folder)
  arrays = stored.rows.stored() | {"episode_start": stored.episode_start}
  stored = episodes.checked(arrays, stored.card, "dataset")
  terminal = store.terminal(stored, "Minari")
  with files.making(folder) as partial:
    (partial / DATA).mkdir()
    _write(stored, terminal, folder.name, partial / DATA)
  return folder


def _write(
  stored: store.StoredDataset, terminal: np.ndarray, name: str, folder: pathlib.Path
) -> None:
  minari, spaces = _imported(folder)
  spec, rows = stored.spec, stored.rows
  n, a = spec.num_agents, spec.action_dim

  def box(*shape: int) -> Any:
    return spaces.Box(-np.inf, np.inf, shape, np.float32)

  seen = {
    "obs": box(n, spec.obs_dim),
    "state": box(spec.state_dim),
    "legal": spaces.MultiBinary((n, a)),
  }
  if spec.action_kind == "discrete":
    acts = spaces.MultiDiscrete(np.full(n, a), np.int32)
  else:
    acts = spaces.Box(-1.0, 1.0, (n, a), np.float32)
  storage = minari.dataset.minari_storage.MinariStorage.new(
    folder, spaces.Dict(seen), acts, data_format="hdf5"
  )
  about = {
    "dataset_id": name,
    "minari_version": importlib.metadata.version("minari"),
    "description": f"Joint play of {n} agents: {stored.card.get('name', name)}",
  }
  storage.update_metadata(about | {_MARK: files.plain(stored.card)})

  def buffer(e: int) -> Any:
    begin, stop = (int(x) for x in stored.episode_start[e : e + 2])
    ended = np.arange(begin + 1, stop) == stop - 1
    return minari.data_collector.EpisodeBuffer(
      id=e,
      observations={k: np.asarray(getattr(rows, k)[begin:stop]) for k in _SEEN},
      actions=np.asarray(rows.action[begin : stop - 1]),
      rewards=np.asarray(rows.reward[begin : stop - 1]),
      terminations=ended & terminal[e],
      truncations=ended & ~terminal[e],
    )

  storage.update_episodes(buffer(e) for e in range(len(terminal)))


def read(folder: str | os.PathLike) -> store.StoredDataset:
  """Reads a dataset that `write` wrote; needs h5py alone.

  Raises:
    ImportError: h5py is not installed.
    ValueError: the dataset is not one of ours, or it is damaged.
  """
  folder = pathlib.Path(folder)
  path, metadata = folder / DATA / FILE, folder / DATA / METADATA
  card = reading.json_file(metadata).get(_MARK)
  if not isinstance(card, dict):
    raise ValueError(
      f"{folder} is a dataset of Minari's that is not ours, which may mean anything by "
      "its spaces; make a dataset of its episodes with data.from_arrays"
    )
  store.check_card(card, f"{metadata}: {_MARK}")
  spec = store.spec_of(card, f"{metadata}: {_MARK}")
  columns: dict[str, list[np.ndarray]] = {name: [] for name in store.FIELDS}
  with hdf5.opened(path) as file:
    for e in range(card["num_episodes"]):
      for name, array in _episode(hdf5.group(file, path, f"episode_{e}"), path).items():
        columns[name].append(array)
  lengths = [len(x) for x in columns["reward"]]
  start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
  arrays: dict[str, Any] = {"episode_start": start}
  for name in store.FIELDS[:-1]:
    try:
      arrays[name] = np.concatenate(columns[name])
    except ValueError as error:
      raise ValueError(f"{path}: {name}: {reading.in_line(error)}") from None
  dtype = np.int32 if spec.action_kind == "discrete" else np.float32
  arrays["action"] = arrays["action"].astype(dtype)
  found = episodes.checked(arrays, card, str(folder))
  if not store.is_said(card, found.card):
    raise ValueError(f"{folder} is corrupt: its data are not those that its card tells")
  return found


def _episode(group: Any, path: pathlib.Path) -> dict[str, np.ndarray]:
  """The rows of an episode, the final one included."""

  def get(group: Any, key: str) -> np.ndarray:
    data = hdf5.field(group, path, key)
    return hdf5.fetcher(data, path, key)(0, len(data))

  seen = hdf5.group(group, path, "observations")
  out = {key: get(seen, key) for key in _SEEN}
  out["obs"], out["state"] = episodes.single(out["obs"]), episodes.single(out["state"])
  out["legal"] = out["legal"] != 0
  action, reward = get(group, "actions"), get(group, "rewards")
  out["action"] = np.concatenate([action, np.zeros_like(action[:1])])
  out["reward"] = episodes.single(np.append(reward, 0))
  out["discount"] = np.ones(len(reward) + 1, np.float32)
  out["discount"][-2] = 1 - (get(group, "terminations")[-1] != 0)
  return out


def _imported(folder: pathlib.Path) -> tuple[Any, Any]:
  try:
    from gymnasium import spaces
    import minari  # pyright: ignore[reportMissingImports]
    import minari.dataset.minari_storage  # pyright: ignore[reportMissingImports]
  except ImportError:
    raise ImportError(
      f"writing {folder} needs minari: pip install 'logo_jax[minari]'"
    ) from None
  return minari, spaces
