"""The behaviour policies that are shipped with the library, and how they are stored.

A folder per scenario holds one `<k>.npz` per snapshot, in order of training, and
`index.json`, which says how good each one is.
"""

import dataclasses
import functools
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

  name: str  # <scenario>/<k>, for example "2s3z/3"
  steps: int  # joint environment steps of training
  episodes: int  # of the evaluation; actions sampled, not greedy
  win_rate: float
  return_mean: float


@dataclasses.dataclass(frozen=True)
class Index:
  """All snapshots of a scenario, in order of training."""

  environment: str  # <suite>/<scenario>
  random_return: float  # mean return of uniform play over legal actions
  seed: int  # of the training
  versions: dict[str, str]
  snapshots: tuple[Snapshot, ...]


def scenarios() -> tuple[str, ...]:
  """The scenarios that have behaviour policies."""
  return tuple(sorted(path.parent.name for path in PARAMS_FOLDER.glob("*/index.json")))


@functools.cache
def index(scenario: str) -> Index:
  """Reads what is known about the snapshots of a scenario.

  Raises:
    ValueError: there are none for this scenario.
  """
  if scenario not in scenarios():
    raise ValueError(
      f"scenario {scenario!r} has no behaviour policies; there are some for: "
      f"{', '.join(scenarios())} (experiments/train_behaviour.py makes others)"
    )
  content = json.loads((PARAMS_FOLDER / scenario / "index.json").read_text())
  content["snapshots"] = tuple(Snapshot(**entry) for entry in content["snapshots"])
  return Index(**content)


def load(name: str) -> policy.PolicyParams:
  """Loads a snapshot.

  Args:
    name: <scenario>/<k>, as in `index(scenario).snapshots`.

  Raises:
    ValueError: there is no such snapshot.
  """
  scenario, _, number = name.rpartition("/")
  known = [snapshot.name for snapshot in index(scenario).snapshots]
  if name not in known:
    raise ValueError(f"snapshot {name!r} is not one of: {', '.join(known)}")
  with np.load(PARAMS_FOLDER / scenario / f"{number}.npz", allow_pickle=False) as file:
    return policy.PolicyParams(
      [
        (jnp.asarray(file[f"weight_{i}"]), jnp.asarray(file[f"bias_{i}"]))
        for i in range(len(file.files) // 2)
      ]
    )


def save(folder: pathlib.Path, content: Index, params: list[Any]) -> None:
  """Writes a scenario's folder; snapshots of an earlier training are replaced.

  Args:
    folder: the scenario's folder, created where missing.
    content: what the index says; its snapshots are numbered from 0.
    params: the `PolicyParams` of each snapshot.
  """
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
