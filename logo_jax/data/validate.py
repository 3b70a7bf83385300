"""The rules of the dataset format, each with the error that names what breaks it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from logo_jax import types

Arrays = dict[str, Any]  # field -> numpy array
_BLOCK = 8192  # rows looked at in one go; keeps temporary arrays small
# What must hold, what an error says, and what is True of a row, or of its parts.
_Rule = tuple[str, str, Callable[[Mapping[str, Any]], np.ndarray]]


def layout(arrays: Arrays, spec: types.EnvSpec, where: str) -> None:
  """Checks types, shapes and episode offsets.

  Args:
    arrays: the fields of `types.Rows` and `episode_start`.
    spec: of the environment.
    where: what to call the dataset in an error.

  Raises:
    ValueError: names the field, what it is and what it must be.
  """
  n, discrete = spec.num_agents, spec.action_kind == "discrete"
  num_rows = len(arrays["reward"]) if arrays["reward"].ndim else 0
  expected = {
    "obs": (np.float32, (num_rows, n, spec.obs_dim)),
    "state": (np.float32, (num_rows, spec.state_dim)),
    "legal": (np.bool_, (num_rows, n, spec.action_dim)),
    "action": (np.int32, (num_rows, n))
    if discrete
    else (np.float32, (num_rows, n, spec.action_dim)),
    "reward": (np.float32, (num_rows,)),
    "discount": (np.float32, (num_rows,)),
  }
  for name, (dtype, shape) in expected.items():
    array = arrays[name]
    if array.dtype != dtype or array.shape != shape:
      raise ValueError(
        f"{where}: {name} is {array.dtype} {list(array.shape)}, must be "
        f"{np.dtype(dtype)} {list(shape)}"
      )
  start = arrays["episode_start"]
  if start.dtype != np.int64 or start.ndim != 1 or len(start) < 2:
    raise ValueError(
      f"{where}: episode_start is {start.dtype} {list(start.shape)}, must be int64 "
      "[number of episodes + 1], with one episode at least"
    )
  if start[0] != 0 or start[-1] != num_rows or np.any(np.diff(start) < 2):
    raise ValueError(
      f"{where}: episode_start must rise from 0 to the number of rows, {num_rows}, by "
      "at least 2 rows per episode"
    )


class Check(NamedTuple):
  """One rule of the contents, and the first row that breaks it."""

  rule: str
  broken: str  # what an error says
  row: int | None  # None: the rule holds


def contents(arrays: Arrays, spec: types.EnvSpec, where: str) -> None:
  """Checks values; `layout` must have passed.

  Args:
    arrays: the fields of `types.Rows` and `episode_start`.
    spec: of the environment.
    where: what to call the dataset in an error.

  Raises:
    ValueError: names the field and the first row that breaks a rule.
  """
  for check in checks(arrays, spec):
    if check.row is not None:
      raise ValueError(f"{where}: {check.broken}, row {check.row}")


def checks(arrays: Arrays, spec: types.EnvSpec) -> Iterator[Check]:
  """Looks at all rows for each rule of the contents, block by block.

  Args:
    arrays: the fields of `types.Rows` and `episode_start`; `layout` must have passed.
    spec: of the environment.

  Yields:
    One check per rule, whether it holds or not.
  """
  final = np.zeros(len(arrays["reward"]), bool)
  final[arrays["episode_start"][1:] - 1] = True
  before_final = np.roll(final, -1)  # the last transition of an episode starts here
  rules: list[_Rule] = []
  for name in ("obs", "state", "reward", "discount"):
    rules.append(_finite(name))
  inside = ("discount is within 0 and 1", "discount is not within 0 and 1")
  rules.append((*inside, lambda x: (x["discount"] >= 0) & (x["discount"] <= 1)))
  some = ("legal allows every agent an action", "legal allows some agent no action")
  rules.append((*some, lambda x: x["legal"].any(-1)))
  rules += _discrete(spec) if spec.action_kind == "discrete" else _continuous()
  rules += [
    (
      "discount is below 1 on last transitions only",
      "discount is below 1 before the episode's last transition",
      lambda x: (x["discount"] == 1) | x["before_final"] | x["final"],
    ),
    *(
      (
        f"{name} is {value} on final rows",
        f"{name} is not {value} on a final row, where nobody acts",
        lambda x, name=name, value=value: (
          (x[name] == value).reshape(len(x[name]), -1).all(-1) | ~x["final"]
        ),
      )
      for name, value in (("action", 0), ("reward", 0), ("discount", 1))
    ),
  ]
  all_rows = {name: arrays[name] for name in types.STORED}
  all_rows |= {"final": final, "before_final": before_final}
  for rule, broken, holds in rules:
    yield Check(rule, broken, _first_broken(all_rows, holds))


def _finite(name: str) -> _Rule:
  broken = f"{name} has NaN or infinity"
  return f"{name} is finite", broken, lambda x: np.isfinite(x[name])


def _continuous() -> list[_Rule]:
  """The rules of continuous actions."""
  inside = ("action is within -1 and 1", "action is not within -1 and 1")
  return [_finite("action"), (*inside, lambda x: np.abs(x["action"]) <= 1)]


def _discrete(spec: types.EnvSpec) -> list[_Rule]:
  """The rules of discrete actions."""
  most = spec.action_dim - 1

  def legal(x: Mapping[str, Any]) -> np.ndarray:
    index = np.clip(x["action"], 0, most)[..., None]
    allowed = np.take_along_axis(x["legal"], index, axis=-1)[..., 0]
    return allowed | x["final"][:, None]  # nobody acts on a final row

  return [
    (
      f"action is within 0 and {most}",
      f"action is not within 0 and {most}",
      lambda x: (x["action"] >= 0) & (x["action"] <= most),
    ),
    ("action is legal", "action is not legal", legal),
  ]


def _first_broken(
  arrays: Arrays, holds: Callable[[Mapping[str, Any]], np.ndarray]
) -> int | None:
  """The first row, of all, for which a rule does not hold throughout."""
  for begin in range(0, len(arrays["reward"]), _BLOCK):
    good = holds(_Block(arrays, begin))
    if not good.all():
      return begin + int(np.argmin(good.reshape(len(good), -1).all(-1)))
  return None


class _Block(Mapping[str, Any]):
  """Some rows of arrays; only those that are asked for are read."""

  def __init__(self, arrays: Arrays, begin: int):
    self._arrays, self._rows = arrays, slice(begin, begin + _BLOCK)

  def __getitem__(self, name: str) -> np.ndarray:
    return self._arrays[name][self._rows]

  def __iter__(self):
    return iter(self._arrays)

  def __len__(self) -> int:
    return len(self._arrays)
