"""The behaviour policies that are shipped with the library, and how they are stored.

A folder per environment holds one `<k>.npz` per snapshot, in order of training, and
`index.json`, which says how good each one is.
"""

import dataclasses
import json
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from logo_jax.behaviours import policy

PARAMS_FOLDER = pathlib.Path(__file__).parent / "params"


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """A policy at one moment of its training, as evaluated when it was shipped."""

  name: str  # <suite>/<scenario>/<k>, for example "smax/2s3z/3"
  steps: int  # joint environment steps of training
  episodes: int  # of the evaluation; actions sampled, not greedy
  win_rate: float
  return_mean: float


@dataclasses.dataclass(frozen=True)
class Index:
  """All snapshots of an environment, in order of training."""

  environment: str  # <suite>/<scenario>
  random_return: float  # mean return of uniform play over legal actions
  seed: int  # of the training
  versions: dict[str, str]
  snapshots: tuple[Snapshot, ...]


def environments(root: pathlib.Path = PARAMS_FOLDER) -> tuple[str, ...]:
  """The environments that have behaviour policies below `root`."""
  found = (path.parent for path in root.glob("*/*/index.json"))
  return tuple(sorted(f"{path.parent.name}/{path.name}" for path in found))


def index(environment: str, root: pathlib.Path = PARAMS_FOLDER) -> Index:
  """Reads what is known about the snapshots of an environment.

  Args:
    environment: <suite>/<scenario>.
    root: where the folders lie; the shipped ones by default.

  Raises:
    ValueError: there are none for this environment.
  """
  known = environments(root)
  if environment not in known:
    raise ValueError(
      f"environment {environment!r} has no behaviour policies; there are some for: "
      f"{', '.join(known) or 'none'} (experiments/train_behaviour.py makes others)"
    )
  content = json.loads((root / environment / "index.json").read_text())
  content["snapshots"] = tuple(Snapshot(**entry) for entry in content["snapshots"])
  return Index(**content)


def load(name: str, root: pathlib.Path = PARAMS_FOLDER) -> policy.PolicyParams:
  """Loads a snapshot.

  Args:
    name: <suite>/<scenario>/<k>, as in `index(environment).snapshots`.
    root: where the folders lie; the shipped ones by default.

  Raises:
    ValueError: there is no such snapshot.
  """
  environment, _, number = name.rpartition("/")
  known = [snapshot.name for snapshot in index(environment, root).snapshots]
  if name not in known:
    raise ValueError(f"snapshot {name!r} is not one of: {', '.join(known)}")
  path = root / environment / f"{number}.npz"
  with np.load(path, allow_pickle=False) as file:
    return policy.PolicyParams(
      [
        (jnp.asarray(file[f"weight_{i}"]), jnp.asarray(file[f"bias_{i}"]))
        for i in range(len(file.files) // 2)
      ]
    )


def save(root: pathlib.Path, content: Index, params: list[Any]) -> pathlib.Path:
  """Writes an environment's folder; snapshots of an earlier training are replaced.

  Args:
    root: the folder of all environments, created where missing.
    content: what the index says; its snapshots are numbered from 0.
    params: the `PolicyParams` of each snapshot.

  Returns:
    The environment's folder.
  """
  folder = root / content.environment
  folder.mkdir(parents=True, exist_ok=True)
  for old in folder.glob("*.npz"):
    old.unlink()
  for k, policy_params in enumerate(params):
    arrays = {}
    for i, (weight, bias) in enumerate(policy_params.layers):
      arrays |= {f"weight_{i}": np.asarray(weight), f"bias_{i}": np.asarray(bias)}
    np.savez(folder / f"{k}.npz", **arrays)
  text = json.dumps(dataclasses.asdict(content), indent=2)
  (folder / "index.json").write_text(text + "\n")
  return folder
