"""Arrays that somebody gives, checked and put one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from logo_jax.data.formats import episodes

PER_ROW = ("obs", "state", "legal")  # what is seen: on a final row, too
PER_STEP = ("action", "reward")


class Arrays(NamedTuple):
  """All episodes, one after the other."""

  fields: dict[str, np.ndarray]  # of PER_ROW and PER_STEP, those that are there
  lengths: np.ndarray  # int64 [E], steps
  has_final: bool  # what is seen has one more row per episode


def concatenated(given: Mapping[str, Any], where: str) -> Arrays:
  """All fields as arrays of shapes that fit each other.

  Args:
    given: of PER_ROW and PER_STEP lists of episodes, or arrays with `lengths`; what is
      None is not there.
    where: what to call the dataset in an error.

  Raises:
    ValueError: names the field, what it is and what it must be.
  """
  names = [n for n in (*PER_ROW, *PER_STEP) if given.get(n) is not None]
  for name in ("obs", *PER_STEP):
    if name not in names:
      raise ValueError(f"{where}: {name} is missing")
  listed = [n for n in names if isinstance(given[n], list | tuple)]
  if listed and len(listed) < len(names):
    other = next(n for n in names if n not in listed)
    raise ValueError(
      f"{where}: {listed[0]} is a list of episodes, but {other} is an array; give "
      "lists of all fields, or of none and lengths"
    )
  if listed:
    if given.get("lengths") is not None:
      raise ValueError(f"{where}: lengths is not for lists, whose episodes have theirs")
    fields, lengths, has_final = _joined({n: given[n] for n in names}, where)
  else:
    fields = {n: np.asarray(given[n]) for n in names}
    lengths = _lengths(given.get("lengths"), f"{where}: lengths")
    has_final = fields["obs"].shape[:1] == (lengths.sum() + len(lengths),)
  _check_shapes(fields, lengths, has_final, where)
  return Arrays(fields, lengths, has_final)


def _joined(given: dict[str, Sequence[Any]], where: str) -> Arrays:
  """Lists of episodes as arrays."""
  lists = {name: [np.asarray(x) for x in given[name]] for name in given}
  total = len(lists["action"])
  lengths = np.array([x.shape[0] if x.ndim else 0 for x in lists["action"]], np.int64)
  if not total or lengths.min() < 1:
    what = f"is of episode {np.argmin(lengths)}" if total else "is of no episode"
    raise ValueError(f"{where}: action {what}, with no step; must have 1 at least")
  more = int(lists["obs"][0].shape[:1] == (lengths[0] + 1,))
  for name, parts in lists.items():
    if len(parts) != total:
      raise ValueError(
        f"{where}: {name} is a list of {len(parts)} episodes, must be of {total}, as "
        "action is"
      )
    expected = lengths + more * (name in PER_ROW)
    for e, (part, rows) in enumerate(zip(parts, expected, strict=True)):
      if part.shape[:1] != (rows,) or part.shape[1:] != parts[0].shape[1:]:
        size = [int(rows), *parts[0].shape[1:]]
        raise ValueError(
          f"{where}: {name} of episode {e} has shape {list(part.shape)}, must be {size}"
          f", for it has {lengths[e]} actions and obs {'a' if more else 'no'} final row"
        )
  joined = {name: np.concatenate(parts) for name, parts in lists.items()}
  return Arrays(joined, lengths, bool(more))


def _check_shapes(
  fields: dict[str, np.ndarray], lengths: np.ndarray, has_final: bool, where: str
) -> None:
  steps, (obs, action) = int(lengths.sum()), (fields["obs"], fields["action"])
  rows = steps + len(lengths) * has_final
  if obs.shape[:1] != (rows,):
    raise ValueError(
      f"{where}: obs has shape {list(obs.shape)}, must have {steps} rows, the sum of "
      f"lengths, or {steps + len(lengths)} with a final one of each episode"
    )
  episodes.check_shape(obs, (rows, "N", "O"), f"{where}: obs")
  n, discrete = obs.shape[1], action.dtype.kind in "biu"
  wanted: tuple[int | str, ...] = (steps, n) if discrete else (steps, n, "A")
  if action.shape[:2] == (steps, n) and action.ndim != len(wanted):
    raise ValueError(
      f"{where}: action is {action.dtype} {list(action.shape)}, must be whole numbers "
      f"[{steps}, {n}] where actions are discrete, floats [{steps}, {n}, A] where they "
      "are continuous"
    )
  episodes.check_shape(action, wanted, f"{where}: action")
  per_agent = (steps, n)[: max(fields["reward"].ndim, 1)]
  episodes.check_shape(fields["reward"], per_agent, f"{where}: reward")
  if "state" in fields:
    episodes.check_shape(fields["state"], (rows, "S"), f"{where}: state")
  if "legal" in fields:
    if not discrete:
      raise ValueError(f"{where}: legal is for discrete actions, these are continuous")
    episodes.check_shape(fields["legal"], (rows, n, "A"), f"{where}: legal")


def _lengths(value: Any, where: str) -> np.ndarray:
  if value is None:
    raise ValueError(f"{where} is missing: the number of steps of each episode")
  lengths = np.asarray(value)
  if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or not lengths.size:
    raise ValueError(
      f"{where} is {lengths.dtype} {list(lengths.shape)}, must be whole numbers [E], "
      "the steps of each episode"
    )
  if lengths.min() < 1:
    at = int(np.argmin(lengths))
    raise ValueError(f"{where}: {lengths[at]} of episode {at} must be at least 1")
  return lengths.astype(np.int64)


def terminal(value: Any, num_episodes: int, where: str) -> np.ndarray:
  """Which episodes ended by themselves, bool `[E]`, of one for each or for all.

  Raises:
    ValueError: it is neither.
  """
  ended = np.asarray(value)
  good = ended.dtype.kind in "biu" and ended.shape in ((), (num_episodes,))
  if not good or not np.isin(ended, (0, 1)).all():
    raise ValueError(
      f"{where} is {ended.dtype} {list(ended.shape)}, must be bool "
      f"[{num_episodes}], one for each episode, or one for all"
    )
  return np.broadcast_to(ended != 0, (num_episodes,))
