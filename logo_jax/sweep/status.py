"""One line that says how far a plan is and how long it will take."""

from collections.abc import Callable, Collection, Mapping, Sequence
import sys
import time

from logo_jax.io.logging import say
from logo_jax.sweep import costs
from logo_jax.sweep.cells import Cell

_EVERY = 60.0  # seconds between lines where there is no terminal
_ASKED_EVERY = 5.0  # seconds between looks at what a running cell has written


class Status:
  """Counts cells on stderr."""

  def __init__(
    self,
    plan: Sequence[Cell],
    done: Collection[str],
    estimates: Mapping[str, float],
    workers: int,
    progress: Callable[[str], float | None] = lambda name: None,
  ):
    """Starts the clock.

    Args:
      plan: all cells.
      done: names of those that are finished already.
      estimates: seconds of each, by name.
      workers: processes side by side.
      progress: seconds that a running cell still takes, by its name, where it tells.
    """
    self._progress = progress
    # When it was asked, and what it said.
    self._told: dict[str, tuple[float, float | None]] = {}
    self._total, self._done = len(plan), len(done)
    self._left = {c.name: estimates[c.name] for c in plan if c.name not in done}
    self._workers = workers
    self._begun: dict[str, float] = {}
    self._estimated, self._measured = 0.0, 0.0  # of cells that have ended
    self._start = self._shown = time.monotonic()
    self._live = sys.stderr.isatty()

  def begun(self, cell: Cell) -> None:
    """A cell is worked on."""
    self._begun[cell.name] = time.monotonic()
    self._say(f"{cell.name}: begun")

  def ended(self, cell: Cell, seconds: float, how: str = "finished") -> None:
    """A cell is no longer worked on.

    Args:
      cell: which.
      seconds: that it took.
      how: in words.
    """
    if how == "finished":
      self._done += 1
      self._estimated += self._left[cell.name]
      self._measured += seconds
    self._left.pop(cell.name, None)
    self._begun.pop(cell.name, None)
    self._told.pop(cell.name, None)
    self._say(f"{cell.name}: {how} after {costs.in_words(seconds)}")

  def line(self) -> str:
    """How far it is: "3/12 cells, 2 running, 4 min gone, about 12 min left"."""
    now = time.monotonic()
    gone = costs.in_words(now - self._start)
    left = costs.in_words(self._seconds_left(now))
    return (
      f"{self._done}/{self._total} cells, {len(self._begun)} running, {gone} gone, "
      f"about {left} left"
    )

  def show(self, running: Collection[str]) -> None:
    """Shows the line, on a terminal each time, else once a minute."""
    if self._live:
      print(f"\r\x1b[K{self.line()}", end="", file=sys.stderr, flush=True)
    elif running and time.monotonic() - self._shown > _EVERY:
      self._shown = time.monotonic()
      say(self.line())

  def close(self) -> None:
    """Leaves the last state."""
    if self._live:
      print("\r\x1b[K", end="", file=sys.stderr)
    say(self.line())

  def _say(self, text: str) -> None:
    if self._live:
      print("\r\x1b[K", end="", file=sys.stderr)
    say(f"[{self.line()}] {text}")

  def _seconds_left(self, now: float) -> float:
    """Estimates corrected by how they have turned out, spread over the workers."""
    ratio = self._measured / self._estimated if self._estimated else 1.0
    left = 0.0
    for name, seconds in self._left.items():
      gone = now - self._begun[name] if name in self._begun else 0.0
      # Where nothing is told: late, it will not end at once.
      by_estimate = max(ratio * seconds - gone, gone / 10)
      told = self._told_by(name, now)
      left += by_estimate if told is None else told
    return left / self._workers

  def _told_by(self, name: str, now: float) -> float | None:
    """Seconds left of a cell by what it has written itself; None if that tells none."""
    if name not in self._begun:
      return None
    asked, told = self._told.get(name, (-_ASKED_EVERY, None))
    if now - asked >= _ASKED_EVERY:
      asked, told = self._told[name] = now, self._progress(name)
    return None if told is None else max(told - (now - asked), 0.0)
