"""What "medium-replay" and the like mean: the one place that defines them.

The protocol follows the published sources: the SMAC files of CFCQL (Shao et al., 2023)
and the MaMuJoCo files of OMIGA (Wang et al., 2023). Their medium policies win about
half as often, or earn about half as much, as their experts; medium-replay is what was
played up to there; mixed is half medium and half expert.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple

from logo_jax.behaviours import library

MEDIUM_LEVEL = 0.5  # of the expert's
REPLAY_EPSILON = 0.05
# Where even the expert wins less often, wins say little: returns measure the level.
_LEAST_WIN_RATE = 0.1


@dataclasses.dataclass(frozen=True)
class Behaviour:
  """Who plays the episodes of a dataset; everybody samples from their policy."""

  snapshots: tuple[str, ...]  # each plays an equal share of the episodes
  epsilon: float  # probability of a uniform draw over an agent's allowed actions


def expert(index: library.Index) -> library.Snapshot:
  """The snapshot with the highest mean return: the best there is, however good."""
  return max(index.snapshots, key=lambda snapshot: snapshot.return_mean)


def level(index: library.Index, snapshot: library.Snapshot) -> float:
  """How good a snapshot is: 0 like random play, 1 like the expert.

  The win rate as a share of the expert's; where there is nothing to win, or the expert
  hardly ever does, the mean return, random play's being 0.
  """
  best = expert(index)
  if best.win_rate >= _LEAST_WIN_RATE:
    return snapshot.win_rate / best.win_rate
  gain = best.return_mean - index.random_return
  return (snapshot.return_mean - index.random_return) / gain if gain else 1.0


def medium(index: library.Index) -> library.Snapshot:
  """The snapshot, not after the expert, whose level is nearest to `MEDIUM_LEVEL`."""
  until = index.snapshots.index(expert(index)) + 1
  return min(
    index.snapshots[:until],
    key=lambda snapshot: abs(level(index, snapshot) - MEDIUM_LEVEL),
  )


def _medium_replay(index: library.Index) -> Behaviour:
  """Like a replay buffer up to medium: all snapshots so far, exploring."""
  until = index.snapshots.index(medium(index)) + 1
  names = tuple(snapshot.name for snapshot in index.snapshots[:until])
  return Behaviour(names, REPLAY_EPSILON)


class Quality(NamedTuple):
  """One quality of data."""

  protocol: str  # in words, for a dataset's card
  choose: Callable[[library.Index], Behaviour]


_MEDIUM = (
  f"the snapshot whose level is nearest to {MEDIUM_LEVEL} of the expert's; the level "
  f"is the win rate if the expert wins at least {_LEAST_WIN_RATE:.0%} of its episodes, "
  "else the mean return above random play's"
)
_EXPERT = "the snapshot with the highest mean return"
QUALITIES = {
  "medium-replay": Quality(
    "equal shares of all snapshots up to medium, each agent playing at random with "
    f"probability {REPLAY_EPSILON} per step; medium: {_MEDIUM}",
    _medium_replay,
  ),
  "medium": Quality(_MEDIUM, lambda index: Behaviour((medium(index).name,), 0.0)),
  "mixed": Quality(
    f"equal shares of medium and expert; medium: {_MEDIUM}; expert: {_EXPERT}",
    lambda index: Behaviour((medium(index).name, expert(index).name), 0.0),
  ),
  "expert": Quality(_EXPERT, lambda index: Behaviour((expert(index).name,), 0.0)),
}


def behaviour(quality: str, index: library.Index) -> Behaviour:
  """Who plays a dataset of this quality.

  Raises:
    ValueError: the quality is unknown.
  """
  if quality not in QUALITIES:
    raise ValueError(f"quality {quality!r} is not one of: {', '.join(QUALITIES)}")
  return QUALITIES[quality].choose(index)
