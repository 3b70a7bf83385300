"""One sound file of each kind that is read, for tests that damage them."""

from collections.abc import Callable
import dataclasses
import json
import pathlib
import re

import h5py
import jax
import numpy as np
import pytest

from logo_jax.behaviours import library, policy
from logo_jax.configs import config as config_lib
from logo_jax.configs import presets
from logo_jax.data import store
from logo_jax.data.formats import vault
from logo_jax.types import EnvSpec, Rows

_SPEC = EnvSpec("smax/3m", 3, 4, 5, "discrete", 3, 9)
BC = config_lib.to_dict(presets.get("bc"))
RESULTS = {
  "preset": "bc",
  "dataset": "smax/2s3z/medium",
  "dataset_episodes": 3,
  "num_seeds": 1,
  "updates": 10,
  "updates_per_second": 2.5,
  "return_mean": 1.0,
  "return_ci95": None,
  "win_rate": 0.5,
  "win_rate_ci95": [0.25, 0.75],
  "model": {"open_loop": {"1": {"state_rmse": 1.0, "state_rmse_persistence": 2.0}}},
}


def _dataset(folder: pathlib.Path) -> store.StoredDataset:
  start = np.array([0, 3, 8, 10])
  action = np.ones((10, 3), np.int32)
  action[start[1:] - 1] = 0
  rows = Rows(
    obs=np.ones((10, 3, 4), np.float32),
    state=np.ones((10, 5), np.float32),
    legal=np.ones((10, 3, 3), bool),
    action=action,
    reward=np.zeros(10, np.float32),
    discount=np.ones(10, np.float32),
  )
  card = {"name": "toy/x/random", "spec": _SPEC.stored()}
  return store.read(store.write(folder, rows, start, card))


def _omar(folder: pathlib.Path) -> None:
  folder.mkdir()
  for name, width in (("obs", 2), ("next_obs", 2), ("acs", 1)):
    np.save(folder / f"{name}_0.npy", np.ones((6, width)))
  for name in ("rews", "dones"):
    np.save(folder / f"{name}_0.npy", np.zeros(6))


def _hdf5(path: pathlib.Path) -> None:
  rows = (2, 4)
  shapes = {
    "state": (*rows, 3),
    "obs": (*rows, 2, 3),
    "actions": (*rows, 2, 1),
    "avail_actions": (*rows, 2, 3),
    "reward": (*rows, 1),
    "terminated": (*rows, 1),
    "filled": (*rows, 1),
  }
  with h5py.File(path, "w") as file:
    for name, shape in shapes.items():
      file[name] = np.ones(shape, np.int64 if name == "filled" else np.float32)
    file["terminated"][:] = 0
    file["actions"][:] = 0


def _run(folder: pathlib.Path) -> None:
  folder.mkdir()
  config = BC | {"dataset_hash": "0"}
  rows = [{"phase": "train", "step": k, "time": 1.0, "x": 2.0} for k in (1, 2)]
  (folder / "config.json").write_text(json.dumps(config))
  (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
  (folder / "results.json").write_text(json.dumps(RESULTS))


def _behaviours(root: pathlib.Path) -> None:
  names = [f"smax/3m/{k}" for k in range(2)]
  snapshots = tuple(
    library.Snapshot(name, 0, k, 1, k / 2, k, k / 2, k) for k, name in enumerate(names)
  )
  index = library.Index(
    *("smax/3m", 0.0, (0,), policy.Mode(True, 0.05)), {}, {"gamma": 1}, snapshots
  )
  spec = dataclasses.replace(_SPEC, obs_dim=75, action_dim=8)  # as the game has
  params = [policy.init(spec, (8,), jax.random.key(0))] * 2
  library.save(root, index, params)


def write(root: pathlib.Path) -> None:
  """Writes a dataset of each format, a run and a folder of behaviours."""
  vault.write(_dataset(root / "own"), root / "vault")
  _omar(root / "omar")
  _hdf5(root / "file.h5")
  _run(root / "run")
  _behaviours(root / "behaviours")


def refused(root: pathlib.Path, call: Callable[[pathlib.Path], object], named: str):
  """Calls, and checks the line and that the files are as they were."""

  def tree():
    files = [p for p in root.rglob("*") if p.is_file() and p.name != ".lock"]
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}

  before = tree()
  with pytest.raises((ValueError, OSError)) as caught:
    call(root)
  message = str(caught.value)
  assert re.search(named, message), message
  assert "\n" not in message and len(message) < 900
  assert tree() == before
