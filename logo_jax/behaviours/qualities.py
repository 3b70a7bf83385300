"""What "medium-replay" and the like mean: the one place that defines them."""

from collections.abc import Callable
import dataclasses

from logo_jax.behaviours import library

# Medium stands this share of the way from random play to the expert, in mean return.
MEDIUM_LEVEL = 0.8
REPLAY_EPSILON = 0.05


@dataclasses.dataclass(frozen=True)
class Behaviour:
  """Who plays the episodes of a dataset; everybody samples from their policy."""

  snapshots: tuple[str, ...]  # each plays an equal share of the episodes
  epsilon: float  # probability of a uniform draw over an agent's legal actions


def expert(index: library.Index) -> library.Snapshot:
  """The snapshot with the highest mean return."""
  return max(index.snapshots, key=lambda snapshot: snapshot.return_mean)


def medium(index: library.Index) -> library.Snapshot:
  """The snapshot whose mean return is nearest to `MEDIUM_LEVEL`."""
  best = expert(index).return_mean
  target = index.random_return + MEDIUM_LEVEL * (best - index.random_return)
  return min(index.snapshots, key=lambda snapshot: abs(snapshot.return_mean - target))


def _medium_replay(index: library.Index) -> Behaviour:
  """Like a replay buffer up to medium: all snapshots so far, exploring."""
  until = index.snapshots.index(medium(index)) + 1
  names = tuple(snapshot.name for snapshot in index.snapshots[:until])
  return Behaviour(names, REPLAY_EPSILON)


QUALITIES: dict[str, Callable[[library.Index], Behaviour]] = {
  "medium-replay": _medium_replay,
  "medium": lambda index: Behaviour((medium(index).name,), 0.0),
  "mixed": lambda index: Behaviour((medium(index).name, expert(index).name), 0.0),
  "expert": lambda index: Behaviour((expert(index).name,), 0.0),
}


def behaviour(quality: str, index: library.Index) -> Behaviour:
  """Who plays a dataset of this quality.

  Raises:
    ValueError: the quality is unknown.
  """
  if quality not in QUALITIES:
    raise ValueError(f"quality {quality!r} is not one of: {', '.join(QUALITIES)}")
  return QUALITIES[quality](index)
