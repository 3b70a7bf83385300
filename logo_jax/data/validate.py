"""The rules of the dataset format, each with the error that names what breaks it."""

from typing import Any

import numpy as np

from logo_jax import types

Arrays = dict[str, Any]  # field -> numpy array
_BLOCK = 8192  # rows looked at in one go; keeps temporary arrays small


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


def contents(arrays: Arrays, spec: types.EnvSpec, where: str) -> None:
  """Checks values; `layout` must have passed.

  Args:
    arrays: the fields of `types.Rows` and `episode_start`.
    spec: of the environment.
    where: what to call the dataset in an error.

  Raises:
    ValueError: names the field and the first row that breaks a rule.
  """
  for name in ("obs", "state", "reward", "discount"):
    _check(arrays[name], np.isfinite, f"{where}: {name} has NaN or infinity")
  _check(arrays["discount"], _in_unit, f"{where}: discount is not within 0 and 1")
  legal, action = arrays["legal"], arrays["action"]
  row = _first(~legal.any(-1).all(-1))
  if row is not None:
    raise ValueError(f"{where}: legal allows some agent no action, row {row}")
  if spec.action_kind == "continuous":
    _check(action, np.isfinite, f"{where}: action has NaN or infinity")
    return
  inside = (action >= 0) & (action < spec.action_dim)
  row = _first(~inside.all(-1))
  if row is not None:
    raise ValueError(
      f"{where}: action is not within 0 and {spec.action_dim - 1}, row {row}"
    )
  illegal = ~np.take_along_axis(legal, action[..., None], axis=-1)[..., 0]
  illegal[arrays["episode_start"][1:] - 1] = False  # nobody acts on a final row
  row = _first(illegal.any(-1))
  if row is not None:
    raise ValueError(f"{where}: action is not legal, row {row}")


def _check(array: np.ndarray, rule, message: str) -> None:
  for begin in range(0, len(array), _BLOCK):
    good = rule(array[begin : begin + _BLOCK])
    if not good.all():
      row = begin + int(np.argmin(good.reshape(len(good), -1).all(-1)))
      raise ValueError(f"{message}, row {row}")


def _in_unit(x: np.ndarray) -> np.ndarray:
  return (x >= 0) & (x <= 1)


def _first(bad: Any) -> int | None:
  return int(np.argmax(bad)) if bad.any() else None
