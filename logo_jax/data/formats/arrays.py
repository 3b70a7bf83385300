"""Episodes that somebody has as numpy arrays, and .npz files of such arrays.

An episode of T steps has T actions and rewards, and T + 1 observations: the last one is
what was seen after the last step. Where nobody has kept that one, T will do; then an
episode that was cut gives up its last step, as a vault's does.
"""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.checks import reading
from logo_jax.data import played, store
from logo_jax.data.formats import array_fields, episodes, settle
from logo_jax.envs import base

_NUMBERS = ("num_actions", "max_steps")
_NEEDED = ("obs", "action", "reward", "terminal", "lengths")
_KEYS = (*_NEEDED, "state", "legal", *_NUMBERS)


def from_arrays(  # noqa: PLR0913  what a dataset consists of
  folder: str | os.PathLike,
  *,
  obs: Any,
  action: Any,
  reward: Any,
  terminal: Any,
  lengths: Any = None,
  state: Any = None,
  legal: Any = None,
  num_actions: int | None = None,
  max_steps: int | None = None,
  name: str | None = None,
  scenario: str | None = None,
  action_range: str = "refuse",
  team_reward: str = "refuse",
) -> pathlib.Path:
  """Writes a dataset of your own episodes, all of it or nothing.

  Arrays hold all episodes, one after the other, with `lengths`; or they are lists with
  an array per episode. Below, R is the sum of T + 1 over episodes of T steps, or of T
  where final observations are not known; K is the sum of T.

  Args:
    folder: where; it may exist only if it is empty or holds exactly this dataset.
    obs: `[R, N, O]`; agents with shorter observations are padded with zeros.
    action: whole numbers `[K, N]`, the numbers of discrete actions; or floats
      `[K, N, A]` within -1 and 1.
    reward: `[K]` of the team, or `[K, N]`.
    terminal: bool `[E]`, or one for all: the game ended by itself after the last step.
      False where it was cut, by a time limit for one: values go on from there.
    lengths: T of each episode, `[E]`; None for lists.
    state: `[R, S]`, what decides how the game goes on; None: the observations side by
      side stand for it.
    legal: bool `[R, N, A]`, the discrete actions that are allowed; None: all.
    num_actions: of each agent where `legal` is None; None: 1 more than the largest.
    max_steps: time limit of an episode; None: the longest one's steps.
    name: of the dataset, in tables; None: the folder's.
    scenario: environment that plays what is learned, <suite>/<scenario>; None: nothing.
    action_range: of continuous actions beyond -1 and 1: "refuse", "clip" or "rescale".
    team_reward: of rewards that differ between agents: "refuse", "mean" or "sum".

  Returns:
    The folder; its path is a dataset's name for all that takes one.

  Raises:
    ValueError: a field is of another shape or type, breaks a rule of the format or does
      not fit the scenario, or the folder holds other things.
  """
  folder = pathlib.Path(folder)
  if scenario is not None:
    num_actions, max_steps = _of_scenario(
      scenario, legal is None, num_actions, max_steps, str(folder)
    )
  given = {"obs": obs, "action": action, "reward": reward, "terminal": terminal}
  given |= {"lengths": lengths, "state": state, "legal": legal}
  given |= {"num_actions": num_actions, "max_steps": max_steps}
  options = settle.Options(action_range, team_reward)
  called = name or folder.name
  about = _about(called, f"arrays/{called}", {"format": "arrays"}, str(folder))
  stored = _dataset(given, options, about)
  if scenario is not None:
    stored = played.in_scenario(stored, scenario, str(folder))
  return store.write(folder, *stored)


def read(
  path: str | os.PathLike, action_range: str = "refuse", team_reward: str = "refuse"
) -> store.StoredDataset:
  """Reads an .npz file whose arrays are named as those of `from_arrays`.

  It must have obs, action, reward, terminal and lengths, and may have state, legal,
  num_actions and max_steps, as `np.savez` writes them.

  Args:
    path: the file.
    action_range: what to do to actions beyond [-1, 1]; see `settle.Options`.
    team_reward: what to do to rewards that differ between agents.

  Raises:
    ValueError: the file is damaged or holds objects, which are pickled; an array is
      missing, unknown or of another shape, or breaks a rule of ours.
  """
  path = pathlib.Path(path)
  given: dict[str, Any] = dict(reading.npz(path))
  for key in given:
    if key not in _KEYS:
      raise ValueError(f"{path}: {key!r} must be one of {', '.join(_KEYS)}")
  for key in _NEEDED:
    if key not in given:
      raise ValueError(f"{path}: {key} is missing; it has {reading.listed(given)}")
  for key in _NUMBERS:
    if key in given:
      episodes.check_shape(given[key], (), f"{path}: {key}")
      given[key] = given[key].item()
  options = settle.Options(action_range, team_reward)
  called, source = f"npz/{path.stem}", {"format": "npz", "path": path.name}
  return _dataset(given, options, _about(called, called, source, str(path)))


def _about(
  name: str, spec_name: str, source: dict[str, Any], where: str
) -> episodes.About:
  return episodes.About(name, None, spec_name, 0, source, where)


def _of_scenario(
  scenario: str,
  any_action: bool,
  num_actions: int | None,
  max_steps: int | None,
  where: str,
) -> tuple[int | None, int]:
  """Numbers of actions and of steps as a scenario has them, where none are given."""
  spec = base.make(scenario).spec
  if max_steps not in (None, spec.max_steps):
    raise ValueError(
      f"{where}: max_steps {max_steps} is not {spec.max_steps}, that of {scenario}"
    )
  if any_action and spec.action_kind == "discrete" and num_actions is None:
    num_actions = spec.action_dim
  return num_actions, spec.max_steps


def _dataset(
  given: dict[str, Any], options: settle.Options, about: episodes.About
) -> store.StoredDataset:
  """A checked dataset of what `from_arrays` takes."""
  where = about.where
  options.check(where)
  numbers = {key: _whole_number(given.get(key), f"{where}: {key}") for key in _NUMBERS}
  fields, lengths, has_final = array_fields.concatenated(given, where)
  terminal = array_fields.terminal(
    given["terminal"], len(lengths), f"{where}: terminal"
  )
  rows = lengths + has_final
  first = np.cumsum(rows) - rows
  append = terminal & (not has_final)
  layout = episodes.plan(first, first + rows, append, terminal, where)

  def step_rows(x: np.ndarray) -> np.ndarray:
    """What belongs to steps, by row; final rows have anything."""
    if not has_final:
      return x[layout.take]
    out = np.zeros((len(layout.take), *x.shape[1:]), x.dtype)
    out[layout.is_step] = x
    return out

  per_agent = episodes.per_agent(step_rows(fields["reward"]))
  reward = settle.rewards(per_agent, layout.is_step, options.team_reward, where)
  altered, bounds, action = reward.altered, None, step_rows(fields["action"])
  if action.ndim == 3:
    settled = settle.actions(action, layout.is_step, options.action_range, where)
    action, altered, bounds = settled.array, altered | settled.altered, settled.bounds
    legal = None
  else:
    action = episodes.whole(action, f"{where}: action")
    legal = _legal(fields.get("legal"), action, numbers["num_actions"], layout, where)
  state = fields.get("state")
  found = episodes.Fields(
    obs=episodes.single(fields["obs"][layout.take]),
    state=None if state is None else episodes.single(state[layout.take]),
    legal=legal,
    action=action,
    reward=reward.array,
  )
  dropped = lengths.sum() - layout.is_step.sum()
  about = dataclasses.replace(
    about,
    max_steps=_limit(numbers["max_steps"], lengths, where),
    altered=altered | settle.counted(steps_dropped=dropped),
    action_bounds=bounds,
  )
  return episodes.finish(found, layout, about)


def _legal(
  given: np.ndarray | None,
  action: np.ndarray,
  num_actions: int | None,
  layout: episodes.Plan,
  where: str,
) -> np.ndarray:
  """What discrete actions are allowed, bool `[R, N, A]`."""
  if given is not None:
    if num_actions not in (None, given.shape[-1]):
      raise ValueError(
        f"{where}: num_actions {num_actions} is not {given.shape[-1]}, that of legal"
      )
    return given[layout.take] != 0
  most = int(action[layout.is_step].max())
  if num_actions is not None and most >= num_actions:
    raise ValueError(
      f"{where}: action {most} is not within 0 and {num_actions - 1}, as num_actions "
      f"{num_actions} has it"
    )
  return np.ones((*action.shape, num_actions or most + 1), bool)


def _limit(max_steps: int | None, lengths: np.ndarray, where: str) -> int:
  longest = int(lengths.max())
  if max_steps is not None and longest > max_steps:
    raise ValueError(
      f"{where}: max_steps {max_steps}, but episode {int(np.argmax(lengths))} has "
      f"{longest} steps"
    )
  return max_steps or longest


def _whole_number(value: Any, where: str) -> int | None:
  if value is None:
    return None
  whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
  if not whole or value < 1:
    raise ValueError(f"{where}: {value!r} must be a whole number, 1 at least")
  return int(value)
