"""The run folder: what it refuses, what it writes, and how a killed run resumes."""

import json
import os
import pathlib
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs

CONFIG = {"seed": 1, "learner": {"cql_weight": 1.0, "sizes": [64, 64]}, "name": None}


def logged(path: pathlib.Path) -> list[tuple[str, int]]:
  return [(row["phase"], row["step"]) for row in run_outputs.read_metrics(path)]


def snapshot(path: pathlib.Path) -> dict[str, tuple[bytes, int]]:
  return {
    str(p): (p.read_bytes() if p.is_file() else b"", p.stat().st_mtime_ns)
    for p in [path, *path.rglob("*")]
  }


def events(folder: pathlib.Path) -> list[event_pb2.Event]:
  """Reads event files: records of length, checksum, bytes, checksum."""
  found = []
  for path in sorted(folder.glob("events.*"), key=lambda p: p.stat().st_mtime_ns):
    data = path.read_bytes()
    while data:
      (length,) = struct.unpack_from("<Q", data)
      found.append(event_pb2.Event.FromString(data[12 : 12 + length]))
      data = data[16 + length :]
  return found


def test_new_folder_and_reopening(tmp_path):
  path = tmp_path / "a" / "run"
  with RunFolder.open(path, CONFIG) as run:
    assert json.loads(run.config_path.read_text()) == CONFIG
    assert run.figures.is_dir()
    assert not run.finished()
  before = run.config_path.stat().st_mtime_ns
  with RunFolder.open(path, CONFIG | {"learner": {"sizes": (64, 64), "cql_weight": 1}}):
    assert run.config_path.stat().st_mtime_ns == before
  assert sorted(p.name for p in path.iterdir()) == [".lock", "config.json", "figures"]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"learner": {"cql_weight": 2.5, "sizes": [64, 64]}}, "learner.cql_weight: 2.5 .*"),
    ({"learner": {"cql_weight": 1.0}}, r"learner.sizes: nothing differs from \[64, 64"),
    ({"extra": {"a": 1}}, "extra.a: 1 differs from nothing"),
    ({"seed": True}, "seed: true differs from 1"),
    ({"name": "x"}, 'name: "x" differs from null'),
  ],
)
def test_another_config_is_refused_and_changes_nothing(tmp_path, change, message):
  with RunFolder.open(tmp_path, CONFIG) as run:
    run.log(1, {"loss": 1.0})
  with run.metrics_path.open("a") as file:
    file.write('{"torn')
  (tmp_path / ".lock").unlink()
  before = snapshot(tmp_path)
  with pytest.raises(ValueError, match=message) as error:
    RunFolder.open(tmp_path, CONFIG | change)
  assert "\n" not in str(error.value)
  assert snapshot(tmp_path) == before


def test_configs_that_json_would_change_are_refused(tmp_path):
  path = tmp_path / "run"
  with pytest.raises(ValueError, match="learner.threshold: inf is not allowed"):
    RunFolder.open(path, {"learner": {"threshold": float("inf")}})
  with pytest.raises(ValueError, match="key 3 is not allowed"):
    RunFolder.open(path, {"a": {3: 1}})
  with pytest.raises(ValueError, match="value <object .*> is not allowed"):
    RunFolder.open(path, {"a": object()})
  assert not path.exists()


@pytest.mark.parametrize("name", ["metrics.jsonl", "results.json", "checkpoints"])
def test_the_rest_of_a_run_without_its_config_is_refused(tmp_path, name):
  (tmp_path / name).touch()
  before = snapshot(tmp_path)
  with pytest.raises(FileExistsError, match=f"holds {name} but no config.json"):
    RunFolder.open(tmp_path, CONFIG)
  assert snapshot(tmp_path) == before


def test_places_that_cannot_be_written_to_are_refused(tmp_path):
  file = tmp_path / "file"
  file.touch()
  # Not even root can write below /proc.
  for path in ("/proc", "/proc/logo/run", file, file / "run"):
    with pytest.raises(OSError, match="cannot be written to") as error:
      RunFolder.open(path, CONFIG)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


_HOLDER = """
import json, os, sys, time
from logo_jax.io.run_folder import RunFolder
run = RunFolder.open(sys.argv[1], json.loads(sys.argv[2]))
run.log(1, {"loss": 1.0})
with open(run.metrics_path, "a") as file:
  file.write('{"phase": "train", "step": 2, "lo')
print("ready", flush=True)
time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
  holder = subprocess.Popen(
    [sys.executable, "-c", _HOLDER, str(tmp_path), json.dumps(CONFIG)],
    stdout=subprocess.PIPE,
    text=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  try:
    assert holder.stdout is not None
    with holder.stdout:
      assert holder.stdout.readline() == "ready\n"
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(FileExistsError, match=f"in use by process {holder.pid}"):
      RunFolder.open(tmp_path, CONFIG)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert logged(tmp_path) == [("train", 1)]  # readers skip the line being written
  finally:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
  with RunFolder.open(tmp_path, CONFIG) as run:  # the kernel has freed the lock
    run.log(2, {"loss": 0.5})
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert [json.loads(line)["step"] for line in lines] == [1, 2]  # the torn one is gone


def test_a_check_leaves_what_others_begin_meanwhile(tmp_path, monkeypatch):
  path, beside = tmp_path / "runs" / "a", tmp_path / "runs" / "b"
  RunFolder.check(path, CONFIG)
  assert not path.parent.exists()
  take, begun = RunFolder._take_lock, []

  def late(run):  # another process is quicker
    if not begun:
      begun.append(None)
      begun[0] = RunFolder.open(others, CONFIG)
    take(run)

  monkeypatch.setattr(RunFolder, "_take_lock", late)
  others = beside
  RunFolder.check(path, CONFIG)
  assert not path.exists() and (beside / "config.json").exists()
  begun.pop().close()
  others = tmp_path / "new" / "run"
  with pytest.raises(FileExistsError, match="in use by process"):
    RunFolder.check(others, CONFIG)
  assert (others / ".lock").exists() and (others / "config.json").exists()
  begun.pop().close()


def test_closing_frees_the_lock(tmp_path):
  with RunFolder.open(tmp_path, CONFIG) as run:
    with pytest.raises(FileExistsError, match=f"in use by process {os.getpid()}"):
      RunFolder.open(tmp_path, CONFIG)
  run.close()  # harmless
  RunFolder.open(tmp_path, CONFIG).close()


def test_log_writes_lines_and_events(tmp_path):
  with RunFolder.open(tmp_path, CONFIG) as run:
    run.log(10, {"model/loss": np.float32(0.5), "bad": float("nan")}, "model")
    run.log(20, {"learner/loss": 2})
    text = run.metrics_path.read_text()  # before closing
  first, second = map(json.loads, text.splitlines())
  assert first.pop("time") > 0 and second.pop("time") > 0
  assert first == {"phase": "model", "step": 10, "model/loss": 0.5, "bad": None}
  assert second == {"phase": "train", "step": 20, "learner/loss": 2.0}
  scalars = [
    (e.step, v.tag, v.simple_value)
    for e in events(run.events / "model")
    for v in e.summary.value
  ]
  assert scalars == [(10, "model/loss", 0.5)]


def test_log_keeps_what_each_seed_has(tmp_path):
  with RunFolder.open(tmp_path / "run", CONFIG) as run:
    run.log(1, {"loss": np.array([1.0, 2.0, np.nan]), "seconds/train": 3.0})
    run.log(2, {"loss": np.array([1.0, 3.0])})
    run.log(3, {"loss": np.array([4.0])})
  rows = [json.loads(x) for x in run.metrics_path.read_text().splitlines()]
  assert rows[0]["loss"] is None and rows[0]["by_seed"] == {"loss": [1.0, 2.0, None]}
  assert rows[1]["loss"] == 2.0 and rows[1]["by_seed"] == {"loss": [1.0, 3.0]}
  assert rows[2]["loss"] == 4.0 and "by_seed" not in rows[2]
  scalars = {
    (v.tag, e.step): v.simple_value
    for e in events(run.events / "train")
    for v in e.summary.value
    if v.tag != "seconds/train"
  }
  bands = {("loss_min", 2): 1.0, ("loss_max", 2): 3.0}
  assert scalars == bands | {("loss", 2): 2.0, ("loss", 3): 4.0}


def test_log_refuses_before_writing(tmp_path):
  with RunFolder.open(tmp_path, CONFIG) as run:
    with pytest.raises(ValueError, match="phase: 'test' is not allowed; use model or"):
      run.log(1, {"loss": 1.0}, "test")
    with pytest.raises(ValueError, match="metric 'step' is not allowed"):
      run.log(1, {"step": 1.0})
    assert not run.metrics_path.exists()


@pytest.mark.parametrize(
  ("step", "phase", "expected"),
  [
    (20, "train", [("model", 10), ("model", 30), ("train", 10), ("train", 20)]),
    (25, "train", [("model", 10), ("model", 30), ("train", 10), ("train", 20)]),
    (0, "train", [("model", 10), ("model", 30)]),
    (10, "model", [("model", 10)]),
    (-1, "model", []),
  ],
)
def test_truncate_after(tmp_path, step, phase, expected):
  with RunFolder.open(tmp_path, CONFIG) as run:
    for line in (("model", 10), ("model", 30), ("train", 10), ("train", 20)):
      run.log(line[1], {"loss": 1.0}, line[0])
    run.log(30, {"loss": 1.0})
  with run.metrics_path.open("a") as file:
    file.write('{"phase": "train", "st')
  with RunFolder.open(tmp_path, CONFIG) as run:
    run.truncate_after(step, phase)
    assert logged(tmp_path) == expected
    run.log(step + 1, {"loss": 2.0}, phase)
    assert logged(tmp_path) == [*expected, (phase, step + 1)]
  assert run.metrics_path.read_bytes().count(b"\n") == len(expected) + 1


def test_events_of_forgotten_steps_are_purged(tmp_path):
  with RunFolder.open(tmp_path, CONFIG) as run:
    for step in (10, 20, 30):
      run.log(step, {"loss": 1.0})
    run.truncate_after(10)
    run.log(20, {"loss": 2.0})
  starts = [e.step for e in events(run.events / "train") if e.HasField("session_log")]
  assert starts == [11]  # TensorBoard hides earlier events from this step on


def test_results(tmp_path):
  results = {"z": np.float32(1.5), "a": {"ci": float("nan"), "seeds": np.arange(2)}}
  with RunFolder.open(tmp_path, CONFIG) as run:
    with pytest.raises(ValueError, match="has not finished"):
      run_outputs.read_results(run.path)
    with pytest.raises(ValueError, match="is not allowed in JSON"):
      run.write_results({"a": object()})
    assert not run.finished()
    run.write_results(results)
    assert run.finished()
    read = run_outputs.read_results(run.path)
  assert read == {"z": 1.5, "a": {"ci": None, "seeds": [0, 1]}}
  assert list(read) == ["z", "a"]
  assert "NaN" not in run.results_path.read_text()
