"""OMIGA's MaMuJoCo datasets: one flat HDF5 file per task and quality.

An episode of L transitions takes L + 1 rows, and `d` is 1 on the last, which holds the
final observation. Observations are the whole state and the agent's one-hot number, each
vector standardised by its own mean and deviation. The two values that the one-hot part
takes reveal both, so the raw numbers come back: with hot and cold for what 1 and 0
became, x = (z - cold) / (hot - cold).

Agent i drives the i-th slice of the actuators in MuJoCo's own order, not the joints
that its name says; our "-full" environments do likewise.
"""

import dataclasses
import os
import pathlib
import re

import numpy as np

from logo_jax.data import store
from logo_jax.data.formats import episodes, hdf5, settle

KEYS = ("o", "a", "r", "d")
TIME_LIMIT = 1000
_SPREAD = 1e-2  # of the largest number of a state (at least 1), what rounding may do
# Agents, size of an observation, size of an action -> our environment.
_ENVIRONMENTS = {
  (6, 23, 1): "mamujoco/halfcheetah-6x1-full",
  (3, 14, 1): "mamujoco/hopper-3x1-full",
  (2, 113, 4): "mamujoco/ant-2x4-full",
}
_NAME = re.compile(
  r"(?P<task>\w+)-v\d-(?P<conf>\d+x\d+)-(?P<quality>medium-replay|medium-expert|\w+)"
)


def read(
  path: str | os.PathLike, timeout_bootstrap: bool = True
) -> store.StoredDataset:
  """Reads a file; actions are clipped to [-1, 1], `s` repeats `o` and is left alone.

  Args:
    path: the file, for example HalfCheetah-v2-6x1-medium-replay.hdf5.
    timeout_bootstrap: an episode of 1000 steps was cut by the time limit and goes on
      in principle (discount 1). False takes its end for a true one, as OMIGA's own
      code does.

  Returns:
    The dataset: an agent observes [raw state, one-hot number], and the state is raw.

  Raises:
    ImportError: h5py is not installed.
    ValueError: the file is damaged, of another layout, or breaks a rule of ours.
  """
  path = pathlib.Path(path)
  with hdf5.opened(path) as file:
    data = {key: hdf5.field(file, path, key) for key in KEYS}
    episodes.check_shape(data["o"], ("R", "N", "O"), f"{path}: o")
    rows, n, obs_dim = data["o"].shape
    if obs_dim <= n or n < 2:
      raise ValueError(
        f"{path}: o has shape {[rows, n, obs_dim]}; an observation must hold a "
        "state and the one-hot number of one of 2 agents or more"
      )
    episodes.check_shape(data["a"], (rows, n, "A"), f"{path}: a")
    for key in ("r", "d"):
      wanted = (rows, 1) if len(data[key].shape) == 2 else (rows,)
      episodes.check_shape(data[key], wanted, f"{path}: {key}")
    get = {key: hdf5.fetcher(data[key], path, key) for key in KEYS}
    layout = _plan(get["d"](0, rows).reshape(-1) != 0, timeout_bootstrap, str(path))
    obs = episodes.gather(_recovered(get["o"], n, path), layout)
    # The simulators clip what is beyond, and so do we.
    action = settle.actions(
      episodes.gather(get["a"], layout), layout.is_step, "clip", str(path)
    )
    about = _about(path, (n, obs_dim, data["a"].shape[2]), timeout_bootstrap)
    about = dataclasses.replace(about, altered=action.altered)
    fields = episodes.Fields(
      obs=obs,
      state=obs[:, 0, :-n].copy(),  # the same for every agent
      legal=None,
      action=action.array,
      reward=episodes.gather(
        get["r"], layout, lambda x: episodes.single(x.reshape(-1))
      ),
    )
  return episodes.finish(fields, layout, about)


def _plan(last: np.ndarray, timeout_bootstrap: bool, where: str) -> episodes.Plan:
  """Episodes end where `last` is True; what follows the last of them was cut short."""
  stop = np.flatnonzero(last) + 1
  terminal = np.ones(len(stop), bool)
  if not len(stop) or stop[-1] < len(last):
    stop = np.append(stop, len(last))
    terminal = np.append(terminal, False)
  first = np.concatenate([[0], stop[:-1]])
  lengths = stop - first - 1
  if lengths.max() > TIME_LIMIT:
    e = np.argmax(lengths > TIME_LIMIT)
    raise ValueError(
      f"{where}: d: the episode from row {first[e]} has {lengths[e]} steps, more than "
      f"the limit of {TIME_LIMIT}; the mark of an end is missing"
    )
  if timeout_bootstrap:
    terminal &= lengths != TIME_LIMIT
  return episodes.plan(first, stop, np.zeros(len(stop), bool), terminal, where)


def _recovered(fetch: episodes.Fetch, n: int, path: pathlib.Path) -> episodes.Fetch:
  """Undoes the standardisation: [raw state, one-hot number], float32 `[K, N, O]`.

  The state is the mean of what the agents give, exactly the same for all of them.
  """
  one_hot = np.eye(n, dtype=bool)

  def steps(lo: int, hi: int) -> np.ndarray:
    z = fetch(lo, hi).astype(np.float64)
    number = z[..., -n:]
    hot = number[:, one_hot]
    cold = number[:, ~one_hot].reshape(-1, n, n - 1)
    scale = hot - cold.mean(-1)
    good = (scale > 0) & (np.ptp(cold, axis=-1) <= 1e-3 * scale)
    if not good.all():
      row = lo + int(np.argmin(good.all(-1)))
      raise ValueError(
        f"{path}: o, row {row}: the last {n} numbers of an agent are not its one-hot "
        "number, standardised; the raw state cannot be recovered"
      )
    raw = (z - cold.mean(-1)[..., None]) / scale[..., None]
    state = raw[..., :-n].mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):  # infinities break a rule later on
      spread = raw[..., :-n] - state
    _check_spread(spread, state, lo, path)
    raw[..., :-n], raw[..., -n:] = state, one_hot
    return raw.astype(np.float32)

  return steps


def _check_spread(
  spread: np.ndarray, state: np.ndarray, lo: int, path: pathlib.Path
) -> None:
  """Refuses agents that do not see the same; `lo` is the number of the first row."""
  spread, scale = np.abs(spread).max((1, 2)), np.abs(state).max((1, 2))
  apart = spread > _SPREAD * np.maximum(scale, 1.0)
  if apart.any():
    row = int(np.argmax(apart))
    raise ValueError(
      f"{path}: o, row {lo + row}: the agents' raw states differ by {spread[row]:.3g} "
      f"from their mean, of size {scale[row]:.3g}, but each sees the whole state"
    )


def _about(
  path: pathlib.Path, sizes: tuple[int, int, int], timeout_bootstrap: bool
) -> episodes.About:
  found = _NAME.fullmatch(path.stem)
  scenario = f"{found['task']}-{found['conf']}".lower() if found else path.stem
  environment = _ENVIRONMENTS.get(sizes)
  return episodes.About(
    name="/".join(["omiga", scenario] + ([found["quality"]] if found else [])),
    scenario=environment,
    spec_name=environment or f"mamujoco/{scenario}",
    max_steps=TIME_LIMIT,
    source={
      "format": "omiga",
      "path": path.name,
      "timeout_bootstrap": timeout_bootstrap,
    },
    where=str(path),
  )
