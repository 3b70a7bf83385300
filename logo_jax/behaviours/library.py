"""The behaviour policies that are shipped with the library, and how they are stored.

A folder per environment holds one `<k>.npz` per snapshot, in order of training, and
`index.json`, which says how good each one is.
"""

from collections.abc import Sequence
import dataclasses
import hashlib
import json
import pathlib
import shutil
from typing import Any

import jax.numpy as jnp
import numpy as np

from logo_jax import files, reading, schema, types
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
    ValueError: there are none for this environment, or the index is damaged.
  """
  known = environments(root)
  if environment not in known:
    names = reading.listed(known, near=environment)
    raise ValueError(
      f"environment {environment!r} has no behaviour policies; there are some for: "
      f"{names} (experiments/train_behaviour.py makes others)"
    )
  path = root / environment / "index.json"
  content = schema.build(Index, reading.json_file(path), f"{path}: ")
  if content.environment != environment:
    raise ValueError(
      f"{path}: environment: must be {environment!r}; got {content.environment!r}"
    )
  names = [f"{environment}/{k}" for k in range(len(content.snapshots))]
  found = [snapshot.name for snapshot in content.snapshots]
  if found != names or not found:
    raise ValueError(
      f"{path}: snapshots: must be named {environment}/0, .../1 and so on; got "
      f"{reading.listed(found)}"
    )
  return content


def load(name: str, root: pathlib.Path = PARAMS_FOLDER) -> policy.PolicyParams:
  """Loads a snapshot.

  Args:
    name: <suite>/<scenario>/<k>, as in `index(environment).snapshots`.
    root: where the folders lie; the shipped ones by default.

  Raises:
    ValueError: there is no such snapshot, or its file is damaged.
  """
  environment, _, number = name.rpartition("/")
  known = [snapshot.name for snapshot in index(environment, root).snapshots]
  if name not in known:
    raise ValueError(
      f"snapshot {name!r} is not one of: {reading.listed(known, near=name)}"
    )
  path = root / environment / f"{number}.npz"
  arrays = reading.npz(path)
  _check_layers(arrays, str(path))
  return policy.PolicyParams(
    [
      (jnp.asarray(arrays[f"weight_{i}"]), jnp.asarray(arrays[f"bias_{i}"]))
      for i in range(len(arrays) // 2)
    ]
  )


def load_all(
  names: Sequence[str], spec: types.EnvSpec, root: pathlib.Path = PARAMS_FOLDER
) -> list[policy.PolicyParams]:
  """Loads snapshots that are to play an environment together.

  Args:
    names: as in `load`.
    spec: of the environment.
    root: where the folders lie; the shipped ones by default.

  Raises:
    ValueError: there is no such snapshot, its file is damaged, or it is a network of
      another environment or of other widths than the first one's.
  """
  loaded: list[policy.PolicyParams] = []
  ends = policy.sizes(spec)
  for name in names:
    params = load(name, root)
    widths = [len(params.layers[0][0])] + [len(bias) for _, bias in params.layers]
    wanted = [ends[0], *widths[1:-1], ends[1]]
    if loaded:
      wanted[1:-1] = [len(bias) for _, bias in loaded[0].layers[:-1]]
    if widths != wanted:
      raise ValueError(
        f"{root / name}.npz has layers of the widths {widths}, must have {wanted}"
      )
    loaded.append(params)
  return loaded


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
  content = dataclasses.replace(content, params_hash=params_hash(params))
  text = json.dumps(dataclasses.asdict(content), indent=2)
  with files.writing(folder):
    partial.mkdir(parents=True)
    for k, policy_params in enumerate(params):
      np.savez(partial / f"{k}.npz", allow_pickle=False, **_arrays(policy_params))
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


def _check_layers(arrays: dict[str, np.ndarray], where: str) -> None:
  """Refuses what is not a chain of layers, each as wide as the one before it."""
  layers = max(len(arrays) // 2, 1)
  names = {f"{part}_{i}" for part in ("weight", "bias") for i in range(layers)}
  if set(arrays) != names:
    raise ValueError(
      f"{where}: must hold weight_0, bias_0, weight_1, ...; it has "
      f"{reading.listed(sorted(arrays))}"
    )
  for i in range(layers):
    weight, bias = arrays[f"weight_{i}"], arrays[f"bias_{i}"]
    fits = weight.ndim == 2 and bias.shape == weight.shape[1:]
    if i and fits:
      fits = weight.shape[0] == arrays[f"bias_{i - 1}"].size
    if not fits or {weight.dtype, bias.dtype} != {np.dtype(np.float32)}:
      raise ValueError(
        f"{where}: weight_{i} is {weight.dtype} {list(weight.shape)} and bias_{i} "
        f"{bias.dtype} {list(bias.shape)}, must be float32 [in, out] and [out], in "
        "being as wide as the layer before"
      )
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
      raise ValueError(f"{where}: weight_{i} or bias_{i} has NaN or infinity")


def _arrays(params: policy.PolicyParams) -> dict[str, np.ndarray]:
  arrays = {}
  for i, (weight, bias) in enumerate(params.layers):
    arrays |= {f"weight_{i}": np.asarray(weight), f"bias_{i}": np.asarray(bias)}
  return arrays
