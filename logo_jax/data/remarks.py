"""What should be said of a dataset when it is opened."""

from typing import Any

import numpy as np

from logo_jax.data.store import StoredDataset

_LINES = {
  "actions_clipped": "{:.2%} of the action values clipped to [-1, 1]",
  "actions_rescaled": "actions rescaled to [-1, 1], of which {:.2%} were beyond",
  "rewards_averaged": "agents' rewards, which differ in {:.2%} of the steps, averaged",
  "rewards_summed": "agents' rewards, which differ in {:.2%} of the steps, summed",
  "steps_dropped": "{} steps left out",
  "episodes_cut": "{} episodes of the time limit's length taken for cut, not ended",
}
_FEW = 3  # episodes, of which nothing can be said


def remarks(stored: StoredDataset) -> list[str]:
  """One line each: what reading altered, and what looks wrong.

  Args:
    stored: a dataset; what its card lacks is not said.
  """
  card, lines = stored.card, []
  done = altered(card)
  if done:
    lines.append(f"reading altered the data: {'; '.join(done)}")
  if card.get("state_made"):
    lines.append("no states are recorded; observations side by side stand for them")
  limit = _suspected_limit(stored) if "source" in card else None
  if limit is not None:
    num, steps, episodes = limit
    lines.append(
      f"{num} of {episodes} episodes have {steps} steps, the most there are, and are "
      f"called ended; if {steps} is the time limit, {_advice(card)}"
    )
  copies = round(card.get("identical_episodes", 0) * (len(stored.episode_start) - 1))
  if copies:
    lines.append(
      f"{copies} of {len(stored.episode_start) - 1} episodes repeat an earlier one; "
      "copies stay in one split"
    )
  return lines


def altered(card: dict[str, Any]) -> list[str]:
  """What reading altered, in words."""
  found = card.get("altered", {})
  return [line.format(found[name]) for name, line in _LINES.items() if name in found]


def _advice(card: dict[str, Any]) -> str:
  """How a time limit is told that was called an end."""
  if card["source"].get("format") in ("arrays", "npz"):
    return "terminal of these must be False"
  return "set data.time_limit to it"


def _suspected_limit(stored: StoredDataset) -> tuple[int, int, int] | None:
  """Of a time limit that is called an end: episodes, its steps, and all episodes.

  Where games end by themselves few are as long as the longest; here most of the longest
  tenth are, and most of those are called ended.
  """
  start = np.asarray(stored.episode_start)
  lengths = np.diff(start) - 1
  most = lengths.max()
  longest = np.sort(lengths)[-max(_FEW, -(-len(lengths) // 10)) :]
  ended = np.asarray(stored.rows.discount)[start[1:] - 2] == 0
  ended &= lengths == most
  if most == 1 or len(lengths) < _FEW or (longest == most).mean() <= 0.5:
    return None
  if ended.sum() <= (lengths == most).sum() / 2:
    return None
  return int(ended.sum()), int(most), len(lengths)
