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

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import types
from logo_jax.behaviours import policy
from logo_jax.behaviours.entity_policy import EntityParams
from logo_jax.behaviours.layers import Layers
from logo_jax.checks import reading, schema
from logo_jax.io import files

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
    ValueError: there are none for this environment, or the index is damaged.
  """
  known = environments(root)
  if environment not in known:
    names = reading.listed(known, near=environment)
    raise ValueError(
      f"environment {environment!r} has no behaviour policies; there are some for: "
      f"{names} (logo-jax train_behaviour makes others)"
    )
  path = root / environment / "index.json"
  content = schema.build(Index, reading.json_file(path), f"{path}: ")
  _check_index(content, environment, str(path))
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
    raise ValueError(f"snapshot {name!r} is not one of: {reading.listed(known)}")
  path = root / environment / f"{number}.npz"
  arrays = reading.npz(path)
  _check_layers(arrays, str(path))
  return _params(arrays)


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
  obs = jax.ShapeDtypeStruct((spec.num_agents, spec.obs_dim), np.float32)
  width = spec.action_dim * policy.head(spec.action_kind).outputs_per_action
  for name in names:
    params = load(name, root)
    path = root / f"{name}.npz"
    try:
      scores = jax.eval_shape(lambda x, o: policy.outputs(x, o, spec), params, obs)
      fits = scores.shape == (spec.num_agents, width)
    except (TypeError, ValueError):  # of shapes
      fits = False
    if not fits:
      raise ValueError(f"{path}: layers {_shapes(params)} do not fit {spec.name}")
    if loaded and _shapes(params) != _shapes(loaded[0]):
      raise ValueError(
        f"{path}: layers {_shapes(params)} must be as those of {names[0]}, "
        f"{_shapes(loaded[0])}"
      )
    loaded.append(params)
  return loaded


def _shapes(params: policy.PolicyParams) -> list[tuple[int, ...]]:
  return [x.shape for x in jax.tree.leaves(params)]


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
  stored = dataclasses.asdict(content) | {"test_mode": content.test_mode._asdict()}
  text = json.dumps(stored, indent=2)
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


def _check_index(content: Index, environment: str, where: str) -> None:
  """Refuses what types alone do not tell."""
  names = [f"{environment}/{k}" for k in range(len(content.snapshots))]
  found = [snapshot.name for snapshot in content.snapshots]
  greedy, epsilon = content.test_mode
  if content.environment != environment:
    raise ValueError(
      f"{where}: environment: must be {environment!r}; got {content.environment!r}"
    )
  if found != names or not found:
    raise ValueError(
      f"{where}: snapshots: must be named {environment}/0, .../1 and so on; got "
      f"{reading.listed(found)}"
    )
  if type(greedy) is not bool or type(epsilon) not in (int, float):
    raise ValueError(
      f"{where}: test_mode: must be greedy, true or false, and epsilon, a number; got "
      f"{reading.in_line(content.test_mode, 60)}"
    )


def _check_layers(arrays: dict[str, np.ndarray], where: str) -> None:
  """Refuses what is not a chain of layers, or one for each part of an `EntityParams`.

  Each layer is as wide as the one before it.
  """
  prefixes = [f"{part}_" for part in EntityParams._fields]
  if "weight_0" in arrays:
    prefixes = [""]
  left = set(arrays)
  for prefix in prefixes:
    width, i = None, 0
    while not i or f"{prefix}weight_{i}" in arrays:
      names = [f"{prefix}{x}_{i}" for x in ("weight", "bias")]
      if not left.issuperset(names):
        raise ValueError(
          f"{where}: must hold weight_0, bias_0, weight_1 and so on, or the like of "
          f"each of {', '.join(EntityParams._fields)}; it has "
          f"{reading.listed(sorted(arrays))}"
        )
      weight, bias = (arrays[name] for name in names)
      width = _check_layer(weight, bias, width, f"{where}: {names[0]}")
      left.difference_update(names)
      i += 1
  if left:
    raise ValueError(f"{where}: {reading.listed(sorted(left))} are not of a layer")


def _check_layer(
  weight: np.ndarray, bias: np.ndarray, width: int | None, where: str
) -> int:
  """Refuses another type or shape than that of a layer on so many units."""
  fits = weight.ndim == 2 and bias.shape == weight.shape[1:]
  fits = fits and width in (None, weight.shape[0])
  if not fits or {weight.dtype, bias.dtype} != {np.dtype(np.float32)}:
    raise ValueError(
      f"{where} is {weight.dtype} {list(weight.shape)}, its bias {bias.dtype} "
      f"{list(bias.shape)}; must be float32 [{width or 'in'}, out] and [out]"
    )
  if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
    raise ValueError(f"{where} or its bias has NaN or infinity")
  return len(bias)


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
