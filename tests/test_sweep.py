"""A sweep as a user runs it, shortened; minutes long."""

import csv
import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.reporting.test_records import _run as finished_run

ROOT = pathlib.Path(__file__).parents[1]


def _command(tmp_path, *arguments):
  return [
    sys.executable,
    str(ROOT / "experiments/sweep.py"),
    "--datasets=mamujoco/hopper-3x1/medium-replay",
    "--budget=quick",
    "--seeds=2",
    f"--data_dir={tmp_path / 'data'}",
    f"--run_dir={tmp_path / 'runs'}",
    *arguments,
  ]


def _sweep(tmp_path, *arguments):
  command = _command(tmp_path, *arguments)
  return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_systems_share_their_world_model(tmp_path):
  done = _sweep(tmp_path, "--systems=bc,logo_macql,logo_omiga", "--workers=2")
  assert done.returncode == 0, done.stderr
  folder = tmp_path / "runs/mamujoco-hopper-3x1-medium-replay"
  summary = json.loads((folder / "summary.json").read_text())
  assert list(summary) == ["bc", "logo_macql", "logo_omiga"]
  (fit,) = (tmp_path / "runs/fits" / folder.name).iterdir()
  for results in summary.values():
    assert "train" in results["seconds"]
    assert results["seconds"].get("fit_model", 0) < 5  # it is taken over
    assert results["episodes"] == 8
    assert f"{results['return_mean']:.2f}" in done.stdout
  assert "win_rate" not in summary["bc"]  # nothing can be won
  table = (folder / "table.md").read_text()
  assert "win rate" not in table and "logo_omiga" in table
  assert (folder / "learning_curves.png").stat().st_size > 10_000
  rows = list(csv.DictReader((tmp_path / "runs/long.csv").read_text().splitlines()))
  assert {(r["system"], r["seed"]) for r in rows} == {
    (system, seed) for system in summary for seed in "01"
  }
  # Elsewhere with the same fit, which is not learned again.
  other = _sweep(
    tmp_path, "--systems=logo_uniform", f"--fits={fit}", f"--run_dir={tmp_path / 'x'}"
  )
  assert other.returncode == 0, other.stderr
  assert not (tmp_path / "x/fits").exists()
  # Again, with one more: what is finished is not trained again.
  more = _sweep(tmp_path, "--systems=bc,logo_macql,logo_omiga,omiga")
  assert more.returncode == 0, more.stderr
  assert "1 of 6 cells to do" in more.stderr and more.stderr.count(": begun") == 1


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(tmp_path):
  arguments = ["--systems=bc,macql"]
  process = subprocess.Popen(_command(tmp_path, *arguments), stderr=subprocess.PIPE)
  folder = tmp_path / "runs/mamujoco-hopper-3x1-medium-replay"
  while not (folder / "macql/checkpoints/train").exists():
    time.sleep(0.2)
  before = (folder / "bc/results.json").stat().st_mtime_ns
  process.send_signal(signal.SIGKILL)
  process.communicate()
  time.sleep(2)  # its worker ends with it
  done = _sweep(tmp_path, *arguments)
  assert done.returncode == 0, done.stderr
  assert (folder / "bc/results.json").stat().st_mtime_ns == before
  assert (folder / "macql/results.json").exists()


_REPORT = """
import pathlib, sys
from absl import flags
from logo_jax.commands import sweep
root = pathlib.Path(sys.argv[1])
flags.FLAGS(["sweep", "--datasets=smax/3m/medium"])
sweep._report(root, ["bc", "macql"], {"smax-3m-medium/bc", "data/smax-3m-medium"})
"""


def test_what_a_failed_run_has_left_stops_no_report(tmp_path):
  folder = tmp_path / "smax-3m-medium"
  more = {"preset": "bc", "dataset_episodes": 9, "updates_per_second": 5.0}
  finished_run(folder / "bc", **more)
  path = folder / "bc/results.json"
  results = json.loads(path.read_text())
  results.pop("return_mean")  # not played: there is no figure
  path.write_text(json.dumps(results))
  (folder / "macql").mkdir()
  (folder / "macql/results.json").write_text('{"torn')
  command = [sys.executable, "-c", _REPORT, str(tmp_path)]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert list(json.loads((folder / "summary.json").read_text())) == ["bc"]


@pytest.mark.parametrize(
  ("systems", "message"),
  [
    ("bc,nothing", "systems: 'nothing': preset: must be one of"),
    (
      "a@logo_macql:model_run=runs/x",
      "systems: 'a': model_run is the same for all; use a",
    ),
  ],
)
def test_mistakes_are_one_line_and_train_nothing(tmp_path, systems, message):
  done = _sweep(tmp_path, f"--systems={systems}")
  assert done.returncode == 1
  assert done.stderr.startswith("error: " + message)
  assert not (tmp_path / "runs").exists()
