"""The behaviour policies that are shipped with the library, and how they are stored.

A folder per environment holds one `<k>.npz` per snapshot, in order of training, and
`index.json`, which says how good each one is.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil
from typing import Any

import jax.numpy as jnp
import numpy as np

from logo_jax.behaviours import policy
from logo_jax.behaviours.entity_policy import EntityParams
from logo_jax.behaviours.layers import Layers

PARAMS_FOLDER = pathlib.Path(__file__).parent / "params"


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """A policy at one moment of its training, as evaluated when it was shipped."""

  name: str  # <suite>/<scenario>/<k>, for example "smax/2s3z/3"
  seed: int  # of the training
  steps: int  # joint environment steps of training
  episodes: int  # of each evaluation
  win_rate: float  # in test mode, as the next one
  return_mean: float
  sampled_win_rate: float  # with actions sampled as in training, as the next one
  sampled_return_mean: float


@dataclasses.dataclass(frozen=True)
class Index:
  """All snapshots of an environment: one training after another, each in its order."""

  environment: str  # <suite>/<scenario>
  random_return: float  # mean return of uniform play over legal actions
  seeds: tuple[int, ...]  # of the trainings; the first one's goes to the expert
  test_mode: policy.Mode  # how they play when they are judged
  versions: dict[str, str]
  recipe: dict[str, Any]  # the fields of `ppo.Config`
  snapshots: tuple[Snapshot, ...]
  params_hash: str = ""  # of the snapshots' parameters; known once they are stored


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
  content["seeds"] = tuple(content["seeds"])
  content["test_mode"] = policy.Mode(**content["test_mode"])
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
    return _params({key: file[key] for key in file.files})


def save(root: pathlib.Path, content: Index, params: list[Any]) -> pathlib.Path:
  """Writes an environment's folder; snapshots of an earlier training are replaced.

  Args:
    root: the folder of all environments, created where missing.
    content: what the index says; its snapshots are numbered from 0, and the hash of
      the parameters is filled in.
    params: the `PolicyParams` of each snapshot.

  Returns:
    The environment's folder.
  """
  folder = root / content.environment
  partial, old = (folder.with_name(f".{folder.name}.{x}") for x in ("partial", "old"))
  for left_over in (partial, old):
    shutil.rmtree(left_over, ignore_errors=True)
  partial.mkdir(parents=True)
  for k, policy_params in enumerate(params):
    np.savez(partial / f"{k}.npz", allow_pickle=False, **_arrays(policy_params))
  content = dataclasses.replace(content, params_hash=params_hash(params))
  stored = dataclasses.asdict(content) | {"test_mode": content.test_mode._asdict()}
  text = json.dumps(stored, indent=2)
  (partial / "index.json").write_text(text + "\n")
  if folder.exists():
    folder.rename(old)
  partial.rename(folder)
  shutil.rmtree(old, ignore_errors=True)
  return folder


def params_hash(params: list[policy.PolicyParams]) -> str:
  """SHA-256 over all weights and biases of all snapshots, in order."""
  digest = hashlib.sha256()
  for policy_params in params:
    for name, array in _arrays(policy_params).items():
      digest.update(f"{name} {array.shape}\n".encode())
      digest.update(array.tobytes())
  return digest.hexdigest()


def _arrays(params: policy.PolicyParams) -> dict[str, np.ndarray]:
  """The arrays of a file: those of a part of several have its name before theirs."""
  arrays = {}
  for part, layers in params._asdict().items():
    prefix = "" if isinstance(params, policy.FlatParams) else f"{part}_"
    for i, (weight, bias) in enumerate(layers):
      arrays[f"{prefix}weight_{i}"] = np.asarray(weight)
      arrays[f"{prefix}bias_{i}"] = np.asarray(bias)
  return arrays


def _params(arrays: dict[str, np.ndarray]) -> policy.PolicyParams:
  """What `_arrays` has taken apart."""

  def layers(prefix: str) -> Layers:
    num = sum(name.startswith(f"{prefix}weight_") for name in arrays)
    return [
      (
        jnp.asarray(arrays[f"{prefix}weight_{i}"]),
        jnp.asarray(arrays[f"{prefix}bias_{i}"]),
      )
      for i in range(num)
    ]

  if "weight_0" in arrays:
    return policy.FlatParams(layers(""))
  return EntityParams(*(layers(f"{part}_") for part in EntityParams._fields))
