"""What does not fit our conventions in others' data: refused, or altered as asked for.

Whatever is altered is counted, for the card.
"""

from typing import Any, NamedTuple

import numpy as np

ACTION_RANGES = ("refuse", "clip", "rescale")
TEAM_REWARDS = ("refuse", "mean", "sum")
_ROUNDING = 1e-5  # what counts as the same number, relative to 1 or the number itself


class Options(NamedTuple):
  """What is to be done to what does not fit."""

  # Continuous actions beyond [-1, 1]. "rescale" maps each dimension's range in the
  # data, or [-1, 1] if that is wider, to [-1, 1] for all agents alike.
  action_range: str = "refuse"
  # Rewards that differ between agents; one that all share stays what it is.
  team_reward: str = "refuse"

  def check(self, where: str) -> None:
    """Raises a ValueError for a word that is none of the above."""
    for value, allowed, name in (
      (self.action_range, ACTION_RANGES, "action_range"),
      (self.team_reward, TEAM_REWARDS, "team_reward"),
    ):
      if value not in allowed:
        raise ValueError(
          f"{where}: {name} {value!r} must be one of {', '.join(allowed)}"
        )


class Settled(NamedTuple):
  """A field that fits, and what was done to it."""

  array: np.ndarray
  altered: dict[str, float]  # what was done -> the share that it was done to
  bounds: dict[str, list[float]] | None = None  # `low`, `high` [A] of rescaled actions


def actions(action: np.ndarray, is_step: np.ndarray, how: str, where: str) -> Settled:
  """Continuous actions within [-1, 1]; NaN and infinities are left to other rules.

  Args:
    action: `[R, N, A]`.
    is_step: bool `[R]`; other rows do not count.
    how: one of `ACTION_RANGES`.
    where: what to call the dataset in an error.

  Raises:
    ValueError: some are beyond, and `how` is "refuse".
  """
  action = action.astype(np.float32)
  steps = np.where(np.isfinite(action), action, 0)[is_step]
  beyond = np.abs(steps) > 1 + _ROUNDING
  if not beyond.any():
    return Settled(_clipped(action), {})
  share, low, high = float(beyond.mean()), steps.min((0, 1)), steps.max((0, 1))
  if how == "refuse":
    agents = ", ".join(map(str, np.flatnonzero(beyond.any((0, 2)))))
    raise ValueError(
      f"{where}: actions lie within {low.min():g} and {high.max():g}, must be within "
      f"-1 and 1; {share:.1%} are beyond, of agents {agents}; set action_range to "
      "rescale or clip"
    )
  if how == "clip":
    return Settled(_clipped(action), {"actions_clipped": share})
  low, high = np.minimum(low, -1), np.maximum(high, 1)
  wider = (low < -1) | (high > 1)  # others keep every bit
  scaled = 2 * (action - low) / (high - low) - 1
  bounds = {"low": low.tolist(), "high": high.tolist()}
  array = _clipped(np.where(wider, scaled, action).astype(np.float32))
  return Settled(array, {"actions_rescaled": share}, bounds)


def rewards(reward: np.ndarray, is_step: np.ndarray, how: str, where: str) -> Settled:
  """One reward of the team, float32 `[R]`, from one per agent.

  Args:
    reward: `[R, N]`; copies of a shared reward give just that.
    is_step: bool `[R]`; other rows do not count.
    how: one of `TEAM_REWARDS`; applies to all rows if the agents' differ in some.
    where: what to call the dataset in an error.

  Raises:
    ValueError: the agents' differ, and `how` is "refuse".
  """
  with np.errstate(invalid="ignore"):  # infinities break a rule later on
    apart = np.abs(reward - reward[:, :1])
    size = np.maximum(np.abs(reward).max(-1, keepdims=True), 1)
    differs = (apart > _ROUNDING * size) & is_step[:, None]
  if not differs.any():
    same = (reward == reward[:, :1]).all(-1)
    return Settled(np.where(same, reward[:, 0], reward.mean(-1)).astype(np.float32), {})
  share = float(differs.any(-1).sum() / is_step.sum())
  if how == "refuse":
    row = int(np.argmax(differs.any(-1)))
    agents = ", ".join(map(str, np.flatnonzero(differs.any(0))))
    some = ", ".join(f"{x:g}" for x in reward[row, :8])
    raise ValueError(
      f"{where}: rewards of agents {agents} differ from agent 0's in {share:.1%} of "
      f"the steps, in row {row} {some}; set team_reward to mean or sum"
    )
  if how == "mean":
    return Settled(reward.mean(-1).astype(np.float32), {"rewards_averaged": share})
  return Settled(reward.sum(-1).astype(np.float32), {"rewards_summed": share})


def cut_at(
  lengths: np.ndarray, terminal: np.ndarray, time_limit: int | None, where: str
) -> np.ndarray:
  """Which episodes that are called ended were cut by the time limit, bool `[E]`.

  Args:
    lengths: steps, `[E]`.
    terminal: bool `[E]`, called ended.
    time_limit: steps; None believes what is called.
    where: what to call the dataset in an error.

  Raises:
    ValueError: an episode is longer than the limit.
  """
  if time_limit is None:
    return np.zeros_like(terminal)
  if lengths.max() > time_limit:
    raise ValueError(
      f"{where}: time_limit {time_limit}, but an episode has {lengths.max()} steps"
    )
  return terminal & (lengths == time_limit)


def counted(**counts: Any) -> dict[str, int]:
  """The counts that are not 0."""
  return {name: int(count) for name, count in counts.items() if count}


def _clipped(action: np.ndarray) -> np.ndarray:
  """In the box [-1, 1]; infinities stay what they are."""
  return np.where(np.isinf(action), action, np.clip(action, -1, 1)).astype(np.float32)
