"""What a run says on the console: progress, announcements, and a graceful stop."""

from collections.abc import Iterator, Mapping
import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import tqdm

_PLAIN = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class Progress:
  """Counts steps on stderr; made by `progress`.

  On a terminal it is a bar. Elsewhere (a file, a batch job) it is a plain line at the
  first step, then at most one per interval, and one at the end.
  """

  def __init__(self, description: str, total: int, initial: int, interval: float):
    """Starts the clock; see `progress`."""
    self._description = description
    self._total = total
    self._initial = initial
    self._interval = interval
    self._count = initial
    self._postfix = ""
    self._start = time.monotonic()
    self._shown_at: float | None = None
    self._shown_count = -1
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        desc=description,
        total=total,
        initial=initial,
        file=sys.stderr,
        dynamic_ncols=True,
        unit="step",
        unit_scale=True,
      )

  def advance(self, count: int, metrics: Mapping[str, Any] | None = None) -> None:
    """Adds steps.

    Args:
      count: how many steps were done since the last call.
      metrics: a few numbers to show; None leaves those shown before.
    """
    self._count += count
    if metrics is not None:
      self._postfix = ", ".join(
        f"{name} {float(value):.4g}" for name, value in metrics.items()
      )
    if self._bar is not None:
      self._bar.set_postfix_str(self._postfix, refresh=False)
      self._bar.update(count)
    elif self._shown_at is None or time.monotonic() - self._shown_at >= self._interval:
      self._print_line()

  def close(self) -> None:
    """Shows the last state."""
    if self._bar is not None:
      self._bar.close()
    elif self._shown_count != self._count:
      self._print_line()

  def _print_line(self) -> None:
    if _muted:
      return
    now = time.monotonic()
    line = tqdm.tqdm.format_meter(
      n=self._count,
      total=self._total,
      elapsed=now - self._start,
      initial=self._initial,
      prefix=self._description,
      postfix=self._postfix,
      bar_format=_PLAIN,
      unit="step",
      unit_scale=True,
    )
    print(line, file=sys.stderr, flush=True)
    self._shown_at = now
    self._shown_count = self._count


@contextlib.contextmanager
def progress(
  description: str, total: int, initial: int = 0, interval: float = 10.0
) -> Iterator[Progress]:
  """Shows on stderr how far a loop is, how fast it goes and how long it will take.

  Args:
    description: a word or two, for example "train".
    total: the number of steps at the end.
    initial: the number of steps done earlier, by the run that is resumed.
    interval: seconds between two lines where stderr is no terminal.

  Yields:
    A `Progress`; call its `advance` after each chunk of steps.
  """
  bar = Progress(description, total, initial, interval)
  try:
    yield bar
  finally:
    bar.close()


def mute() -> None:
  """Lets this process say nothing from now on but what its caller prints itself."""
  _muted.append(True)


_muted: list[bool] = []


def say(text: str) -> None:
  """Prints one line on stderr, above a progress bar if there is one."""
  if _muted:
    return
  tqdm.tqdm.write(text, file=sys.stderr)
  sys.stderr.flush()


class Stop:
  """Whether somebody asked the process to stop; truthy from then on."""

  def __init__(self) -> None:
    """Nobody has asked yet."""
    self.requested = False

  def __bool__(self) -> bool:
    return self.requested


@contextlib.contextmanager
def graceful_stop() -> Iterator[Stop]:
  """Turns the first SIGINT or SIGTERM into a flag, so that a loop can save and leave.

  A second signal ends the process at once, even within a long compiled call. Outside
  the main thread, where Python takes no signals, the flag never rises.

  Yields:
    A `Stop`, to be read between chunks of work.
  """
  stop = Stop()
  if threading.current_thread() is not threading.main_thread():
    yield stop
    return
  signals = (signal.SIGINT, signal.SIGTERM)

  def request(number: int, frame: FrameType | None) -> None:
    del frame
    stop.requested = True
    for each in signals:
      signal.signal(each, signal.SIG_DFL)
    name = signal.Signals(number).name
    text = f"\n{name}: stopping after this chunk; once more to stop at once\n"
    os.write(2, text.encode())  # buffered streams must not be used in a handler

  previous = {number: signal.signal(number, request) for number in signals}
  try:
    yield stop
  finally:
    for number, handler in previous.items():
      # None: a handler that Python did not install and cannot put back.
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
