"""What "medium-replay" and the like mean: the one place that defines them.

The protocol follows the published sources: the SMAC files of CFCQL (Shao et al., 2023)
and of OG-MARL (Formanek et al., 2023), the MaMuJoCo files of OMIGA (Wang et al., 2023).
Expert, medium and mixed data are test-mode play (`policy.test_mode`) of policies that
were chosen by how they play so; medium policies win about half as often, or earn about
half as much, as their experts. Medium-replay is what a replay buffer holds when
training has come so far: the sampled play of all that led up to there.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple, Protocol

from logo_jax.behaviours import library, policy

MEDIUM_LEVEL = 0.5  # of the expert's
# Where even the expert wins less often, wins say little: returns measure the level.
_LEAST_WIN_RATE = 0.1


class Played(Protocol):
  """How well somebody plays: a `library.Snapshot`, or a score."""

  @property
  def win_rate(self) -> Any: ...

  @property
  def return_mean(self) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Behaviour:
  """Who plays the episodes of a dataset, and how."""

  snapshots: tuple[str, ...]  # each plays an equal share of the episodes
  mode: policy.Mode


def level(played: Played, best: Played, random_return: float) -> float:
  """How good somebody is: 0 like random play, 1 like the best.

  The win rate as a share of the best one's; where there is nothing to win, or the best
  hardly ever does, the mean return, random play's being 0.

  Args:
    played: who is asked about.
    best: the expert.
    random_return: mean return of random play.
  """
  if best.win_rate >= _LEAST_WIN_RATE:
    return float(played.win_rate / best.win_rate)
  gain = best.return_mean - random_return
  return float((played.return_mean - random_return) / gain) if gain else 1.0


def expert(index: library.Index) -> library.Snapshot:
  """The snapshot with the highest mean return in test mode, however good."""
  return max(index.snapshots, key=lambda snapshot: snapshot.return_mean)


def levels(index: library.Index) -> dict[str, float]:
  """The level of every snapshot, by name."""
  best = expert(index)
  return {x.name: level(x, best, index.random_return) for x in index.snapshots}


def up_to_medium(index: library.Index, seed: int) -> tuple[library.Snapshot, ...]:
  """A training's snapshots from the first to the one nearest to `MEDIUM_LEVEL`.

  Args:
    index: of an environment.
    seed: of the training; what the expert's does after the expert does not count.
  """
  best, of = expert(index), levels(index)
  trained = [x for x in index.snapshots if x.seed == seed]
  if seed == best.seed:
    trained = trained[: trained.index(best) + 1]
  distance = [abs(of[x.name] - MEDIUM_LEVEL) for x in trained]
  return tuple(trained[: distance.index(min(distance)) + 1])


def medium(index: library.Index) -> library.Snapshot:
  """The snapshot of the expert's training whose level is nearest to `MEDIUM_LEVEL`."""
  return up_to_medium(index, expert(index).seed)[-1]


class Quality(NamedTuple):
  """One quality of data."""

  protocol: str  # in words, for a dataset's card
  choose: Callable[[library.Index], tuple[library.Snapshot, ...]]
  # The test mode of the environment's index -> how they play.
  mode: Callable[[policy.Mode], policy.Mode] = lambda test_mode: test_mode


_MEDIUM = (
  f"the snapshot whose level is nearest to {MEDIUM_LEVEL} of the expert's; the level "
  f"is the win rate if the expert wins at least {_LEAST_WIN_RATE:.0%} of its episodes, "
  "else the mean return above random play's"
)
_EXPERT = "the snapshot with the highest mean return"
_TEST = "in test mode: greedy but for random actions at the rate epsilon, or sampled"
QUALITIES = {
  "medium-replay": Quality(
    "sampled play, as in training, of equal shares of all snapshots up to medium of "
    f"every training; medium: {_MEDIUM}",
    lambda index: tuple(x for seed in index.seeds for x in up_to_medium(index, seed)),
    lambda test_mode: policy.SAMPLED,
  ),
  "medium": Quality(f"{_MEDIUM}; {_TEST}", lambda index: (medium(index),)),
  "mixed": Quality(
    f"equal shares of medium and expert; medium: {_MEDIUM}; expert: {_EXPERT}; {_TEST}",
    lambda index: (medium(index), expert(index)),
  ),
  "expert": Quality(f"{_EXPERT}; {_TEST}", lambda index: (expert(index),)),
  "random": Quality(
    "uniform draws over what every agent is allowed",
    lambda index: index.snapshots[:1],
    lambda test_mode: policy.UNIFORM,
  ),
}


def behaviour(quality: str, index: library.Index) -> Behaviour:
  """Who plays a dataset of this quality.

  Raises:
    ValueError: the quality is unknown.
  """
  if quality not in QUALITIES:
    raise ValueError(f"quality {quality!r} is not one of: {', '.join(QUALITIES)}")
  wanted = QUALITIES[quality]
  names = tuple(snapshot.name for snapshot in wanted.choose(index))
  return Behaviour(names, wanted.mode(index.test_mode))
