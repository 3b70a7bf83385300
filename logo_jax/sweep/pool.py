"""Works a plan off: so many processes side by side, each on one cell at a time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import subprocess
import sys
import time

from logo_jax.checks import reading
from logo_jax.io import files, plugins
from logo_jax.io.logging import Stop, graceful_stop, say
from logo_jax.sweep import cells as cells_lib
from logo_jax.sweep import costs, progress, shares
from logo_jax.sweep.cells import Cell
from logo_jax.sweep.shares import WHOLE, Share
from logo_jax.sweep.status import Status

_PAUSE = 0.2  # seconds between looks at the processes


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a plan has come to."""

  done: tuple[str, ...]  # names of cells that are finished, whoever did them
  failed: Mapping[str, pathlib.Path]  # name to the log that says why
  left: tuple[str, ...]  # not begun, or stopped, in order

  def complete(self) -> bool:
    """Whether nothing is left."""
    return not self.failed and not self.left


def worker_command(file: pathlib.Path) -> list[str]:
  """How a process is started that works on the cell of a file."""
  command = [sys.executable, "-m", "logo_jax.sweep.worker", f"--cell={file}"]
  return command + plugins.as_flags()


def known_seconds(
  done: Iterable[str], root: str | os.PathLike[str], share: Share = WHOLE
) -> dict[str, float]:
  """How long finished cells have taken, all attempts together, where it is known."""
  spent = _Spent(pathlib.Path(root), share)
  return {name: spent.of(name) for name in done if spent.of(name)}


def run(
  plan: Sequence[Cell],
  root: str | os.PathLike[str],
  workers: int = 1,
  command: Callable[[pathlib.Path], list[str]] = worker_command,
  share: Share = WHOLE,
) -> Outcome:
  """Does what a plan leaves to be done; what fails does not stop the rest.

  Cells are begun in the plan's order, each when those that it needs are finished. The
  first SIGINT or SIGTERM lets the processes save and leave; however this process ends,
  they end, and the same call goes on.

  Args:
    plan: the cells.
    root: their folder; logs are in `logs/`.
    workers: processes side by side.
    command: makes the process of a cell's file; it is finished when its mark is there.
    share: which part of the plan is done, where others do the rest meanwhile.

  Raises:
    FileExistsError: another process works on the folder, or on this part of the plan.
  """
  if workers < 1:
    raise ValueError(f"workers: must be at least 1, got {workers}")
  root = pathlib.Path(root).absolute()
  with _locked(root, share), graceful_stop() as stop:
    own = shares.of_plan(plan, share)
    outcome = _Pool(own, root, workers, command, share).run(stop)
    done = tuple(sorted(cells_lib.done(plan, root)))
    return dataclasses.replace(outcome, done=done)


class _Pool:
  def __init__(
    self,
    plan: Sequence[Cell],
    root: pathlib.Path,
    workers: int,
    command: Callable[[pathlib.Path], list[str]],
    share: Share,
  ):
    self._root, self._workers, self._command = root, workers, command
    self._done = cells_lib.done(plan, root)
    self._waiting = [cell for cell in plan if cell.name not in self._done]
    self._running: dict[str, tuple[Cell, subprocess.Popen, float]] = {}
    self._failed: dict[str, pathlib.Path] = {}
    self._spent = _Spent(root, share)
    estimates = costs.estimates(plan, known_seconds(self._done, root, share))
    by_name = {cell.name: cell for cell in plan}
    self._status = Status(
      *(plan, self._done, estimates, workers),
      progress=lambda name: progress.seconds_left(by_name[name], root),
    )

  def run(self, stop: Stop) -> Outcome:
    """Until nothing can be begun any more, or `stop` rises and all have left."""
    told = False
    try:
      while self._running or (self._startable() and not stop):
        while not stop and (cell := self._startable()):
          self._start(cell)
        if stop and not told:
          told = True
          for _, process, _ in self._running.values():
            process.terminate()  # saves, and leaves
        time.sleep(_PAUSE)
        for name in [
          n for n, (_, p, _) in self._running.items() if p.poll() is not None
        ]:
          self._end(name, bool(stop))
        self._status.show(self._running)
    finally:
      for _, process, _ in self._running.values():
        process.kill()
      self._status.close()
    order = [cell.name for cell in self._waiting]
    return Outcome(tuple(sorted(self._done)), self._failed, tuple(order))

  def _startable(self) -> Cell | None:
    """The first cell that may be begun now."""
    if len(self._running) >= self._workers or any(
      cell.alone for cell, _, _ in self._running.values()
    ):
      return None
    for cell in self._waiting:
      if set(cell.needs) <= self._done and not (cell.alone and self._running):
        return cell
    return None

  def _start(self, cell: Cell) -> None:
    log = self._log(cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    # Several processes are to share a GPU's memory.
    more = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if self._workers > 1 else {}
    with log.open("ab") as output:
      process = subprocess.Popen(
        self._command(cells_lib.write(cell, self._root)),
        stdin=subprocess.PIPE,  # closes with this process
        stdout=output,
        stderr=subprocess.STDOUT,
        env=more | dict(os.environ),
        start_new_session=True,  # a terminal's Ctrl-C is for this process
      )
    self._waiting.remove(cell)
    self._running[cell.name] = cell, process, time.monotonic()
    self._status.begun(cell)

  def _end(self, name: str, stopped: bool) -> None:
    cell, process, begun = self._running.pop(name)
    assert process.stdin is not None
    process.stdin.close()
    seconds = time.monotonic() - begun
    self._spent.add(name, seconds)
    if process.returncode == 0 and cells_lib.finished(cell, self._root):
      self._done.add(name)
      self._status.ended(cell, seconds)
    elif stopped:
      self._waiting.insert(0, cell)
    else:
      self._failed[name] = self._log(cell)
      self._status.ended(cell, seconds, f"failed: {last_line(self._log(cell))}")

  def _log(self, cell: Cell) -> pathlib.Path:
    return self._root / "logs" / f"{cells_lib.slug(cell.name)}.log"


class _Spent:
  """Seconds that cells have taken, in attempts that ended before their parent did."""

  def __init__(self, root: pathlib.Path, share: Share):
    self._path = root / f"seconds{_suffix(share)}.json"
    self._seconds: dict[str, float] = {}
    if self._path.exists():
      with contextlib.suppress(ValueError):  # of no account but for estimates
        self._seconds = reading.json_file(self._path)

  def of(self, name: str) -> float:
    value = self._seconds.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0

  def add(self, name: str, seconds: float) -> None:
    self._seconds[name] = round(self.of(name) + seconds, 1)
    files.write_json(self._path, self._seconds)


def last_line(log: pathlib.Path) -> str:
  """What a process said last."""
  lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
  return reading.in_line(lines[-1] if lines else "it said nothing")


def report_left(outcome: Outcome) -> None:
  """Says which cells have failed, and where that is told, and what was not begun."""
  for name, log in outcome.failed.items():
    say(f"failed: {name}: {last_line(log)}; see {log}")
  if outcome.left:
    say(f"left: {', '.join(outcome.left)}; the same command goes on")


@contextlib.contextmanager
def _locked(root: pathlib.Path, share: Share = WHOLE) -> Iterator[None]:
  """Keeps a second process from the folder, until this one ends in whatever way.

  Processes that share a plan keep others from their own part alone, and together those
  from the folder that would do all of it.
  """
  root.mkdir(parents=True, exist_ok=True)
  locks = [(root / ".lock", fcntl.LOCK_EX if share.num == 1 else fcntl.LOCK_SH)]
  if share.num > 1:
    locks.append((root / f".lock{_suffix(share)}", fcntl.LOCK_EX))
  with contextlib.ExitStack() as stack:
    for path, kind in locks:
      lock = stack.enter_context(path.open("a+b"))
      try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
      except BlockingIOError:
        what = f"{root}, {share}," if share.num > 1 else root
        raise FileExistsError(f"{what} is in use by another process") from None
    yield


def _suffix(share: Share) -> str:
  return f"-{share.process}of{share.num}" if share.num > 1 else ""
