"""Working a plan off, with processes that only pretend to work."""

import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from logo_jax.sweep import cells, pool
from logo_jax.sweep.cells import Cell

# Works as a cell's config says, and writes down when it began and ended.
WORKER = """
import json, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
cell = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder = pathlib.Path(cell["root"]) / cell["name"]
folder.mkdir(parents=True, exist_ok=True)
with (folder / "begun").open("a") as file: print(time.time(), file=file)
time.sleep(cell["config"].get("seconds", 0))
if "error" in cell["config"]: sys.exit("error: " + cell["config"]["error"])
(folder / "model_error.json").write_text(json.dumps({"ended": time.time()}))
"""


def _command(file):
  return [sys.executable, "-S", "-c", WORKER, str(file)]


def _cell(name, *needs, alone=False, **config):
  return Cell(name, "model_error", config, needs, alone)


def _run(root, *plan, workers=2):
  return pool.run(plan, root, workers, _command)


def _begun(root, name):
  return [float(line) for line in (root / name / "begun").read_text().split()]


def _ended(root, name):
  return json.loads((root / name / "model_error.json").read_text())["ended"]


def test_cells_wait_for_those_that_they_need(tmp_path):
  first = _cell("first", seconds=0.3)
  outcome = _run(tmp_path, _cell("last", "first", "beside"), first, _cell("beside"))
  assert outcome.complete() and set(outcome.done) == {"first", "beside", "last"}
  assert _begun(tmp_path, "beside")[0] < _ended(tmp_path, "first")  # side by side
  assert _begun(tmp_path, "last")[0] > _ended(tmp_path, "first")


def test_what_is_timed_runs_alone(tmp_path):
  plan = [_cell("a", seconds=0.3), _cell("timed", alone=True, seconds=0.3), _cell("b")]
  assert _run(tmp_path, *plan).complete()
  begun, ended = _begun(tmp_path, "timed")[0], _ended(tmp_path, "timed")
  for name in "ab":
    assert _ended(tmp_path, name) < begun or _begun(tmp_path, name)[0] > ended


def test_what_fails_is_named_and_stops_nothing_else(tmp_path, capsys):
  plan = [_cell("bad", error="no luck"), _cell("after", "bad"), _cell("good")]
  outcome = _run(tmp_path, *plan, workers=1)
  assert outcome.done == ("good",) and outcome.left == ("after",)
  assert not outcome.complete()
  assert "error: no luck" in outcome.failed["bad"].read_text()
  pool.report_left(outcome)
  told = capsys.readouterr().err
  assert "failed: bad: error: no luck; see " in told and "left: after" in told
  # Tried again, and what is finished is not.
  again = _run(tmp_path, _cell("bad"), *plan[1:], workers=1)
  assert again.complete()
  assert [len(_begun(tmp_path, name)) for name in ("bad", "good")] == [2, 1]


def test_a_signal_lets_processes_leave_and_the_same_call_goes_on(tmp_path):
  plan = [_cell("short"), _cell("long", seconds=60), _cell("never")]

  def interrupt():
    while not (tmp_path / "long" / "begun").exists():
      time.sleep(0.01)
    time.sleep(0.3)  # its handler is there before it writes, but not much before
    signal.raise_signal(signal.SIGTERM)

  thread = threading.Thread(target=interrupt, daemon=True)
  thread.start()
  begin = time.monotonic()
  outcome = _run(tmp_path, *plan, workers=1)
  thread.join()
  assert time.monotonic() - begin < 30
  assert outcome.left == ("long", "never") and not outcome.failed
  assert _run(tmp_path, plan[0], _cell("long"), plan[2]).complete()
  assert len(_begun(tmp_path, "short")) == 1


def test_a_folder_is_of_one_process(tmp_path):
  with pool._locked(tmp_path), pytest.raises(FileExistsError, match="is in use by"):
    _run(tmp_path, _cell("a"))


def test_a_worker_ends_with_its_parent(tmp_path):
  code = (
    "import time; from logo_jax.sweep import worker; worker._end_with_parent();"
    "print('ready', flush=True); time.sleep(60)"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
  )
  assert process.stdout.readline() == b"ready\n"
  process.stdin.close()
  assert process.wait(10) == 1
  process.stdout.close()


def test_a_cell_is_read_as_it_was_written(tmp_path):
  cell = _cell("a/b", "c", seconds=1.5)
  file = cells.write(cell, tmp_path)
  assert file == tmp_path / "cells" / "a-b.json"
  assert cells.read(file) == (cell, pathlib.Path(tmp_path))


def test_two_of_one_name_must_be_the_same():
  one = Cell("a", "experiment", {"seed": 0})
  assert cells.merged([one, one]) == [one]
  with pytest.raises(ValueError, match="a: two of this name differ in seed"):
    cells.merged([one, Cell("a", "experiment", {"seed": 1})])
