"""Progress lines, announcements, and stopping at a signal."""

import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from logo_jax.io import logging


@pytest.fixture
def clock(monkeypatch):
  """A clock that tests turn by hand."""
  now = [100.0]
  monkeypatch.setattr(logging.time, "monotonic", lambda: now[0])
  return now


def test_plain_lines_are_rare(capsys, clock):
  with logging.progress("train", total=1000, initial=400) as bar:
    for _ in range(30):  # 30 s: one line each 10 s, not one per step
      clock[0] += 1.0
      bar.advance(10, {"loss": 0.123456})
  err = capsys.readouterr().err
  assert "\r" not in err
  lines = err.splitlines()
  assert [line.split(" [")[0] for line in lines] == [
    "train: 410/1.00k",
    "train: 510/1.00k",
    "train: 610/1.00k",
    "train: 700/1.00k",
  ]
  # 300 steps in 30 s, those done before the resumption not counted; 300 are left.
  assert lines[-1].endswith("[00:30<00:30, 10.0step/s, loss 0.1235]")


def test_plain_close_repeats_nothing(capsys, clock):
  with logging.progress("train", total=10) as bar:
    bar.advance(10)
  assert len(capsys.readouterr().err.splitlines()) == 1


def test_bar_on_a_terminal(capsys, monkeypatch):
  monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
  with logging.progress("train", total=4, initial=1) as bar:
    bar.advance(3, {"loss": 2.0})
    logging.say("saved")
  err = capsys.readouterr().err
  assert "\r" in err and "4.00/4.00" in err and "loss 2" in err
  assert "saved\n" in err


def test_say(capsys):
  logging.say("hello")
  captured = capsys.readouterr()
  assert (captured.out, captured.err) == ("", "hello\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_raises_the_flag(number, capfd):
  before = signal.getsignal(number)
  with logging.graceful_stop() as stop:
    assert not stop and not stop.requested
    os.kill(os.getpid(), number)
    assert stop and stop.requested
    assert signal.getsignal(number) is signal.SIG_DFL
  assert signal.getsignal(number) is before
  assert signal.Signals(number).name in capfd.readouterr().err


def test_without_a_signal_nothing_changes():
  before = signal.getsignal(signal.SIGTERM)
  with logging.graceful_stop() as stop:
    pass
  assert not stop
  assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_the_flag_stays_down():
  seen = []

  def work():
    with logging.graceful_stop() as stop:
      seen.append(bool(stop))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [False]


_LOOP = """
import time
from logo_jax.io.logging import graceful_stop
with graceful_stop() as stop:
  print("ready", flush=True)
  while not stop:
    time.sleep(0.01)
  print("stopping", flush=True)
  time.sleep(60)
"""


def test_second_signal_ends_the_process():
  loop = subprocess.Popen(
    [sys.executable, "-c", _LOOP],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  try:
    assert loop.stdout is not None
    with loop.stdout:
      assert loop.stdout.readline() == "ready\n"
      loop.send_signal(signal.SIGTERM)
      assert loop.stdout.readline() == "stopping\n"
    loop.send_signal(signal.SIGINT)
    assert loop.wait(timeout=20) == -signal.SIGINT
  finally:
    loop.kill()
    loop.wait()
