"""Two processes of two devices each, on loopback, beside one of four."""

import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from logo_jax import cli, experiment
from logo_jax.data import store
from logo_jax.reporting import runs
from logo_jax.training import joining
from tests import toys

ROOT = pathlib.Path(__file__).parents[2]
SMALL = {
  "total_updates": 40,
  "collect_interval": 10,
  "batch_size": 16,
  "data_parallel": 4,
  "learner.hidden_size": 16,
  "evaluation.interval": 20,
  "evaluation.episodes": 4,
  "evaluation.final_episodes": 8,
  "checkpoint.interval": 10,
}


@pytest.fixture(scope="module")
def corridor(tmp_path_factory):
  """The corridor's data, in which nothing can be played."""
  played = toys.random_play(toys.corridor(), 100)
  folder = tmp_path_factory.mktemp("data") / "corridor"
  store.write(folder, played.rows, played.episode_start, played.card)
  return folder


def _values(preset, dataset, **changes):
  named = {k.replace("__", "."): v for k, v in changes.items()}
  return {"dataset": str(dataset)} | SMALL | named


def _alone(run_dir, preset, dataset, **changes):
  """The same run in this process, on its four devices."""
  values = cli.config_dict(preset)
  values.update_from_flattened_dict(_values(preset, dataset, **changes))
  return experiment.run(cli.experiment_config(values), run_dir)


def _free_port():
  with socket.socket() as found:
    found.bind(("localhost", 0))
    return found.getsockname()[1]


def _start(run_dir, preset, dataset, **changes):
  """Two processes that train together."""
  settings = _values(preset, dataset, **changes)
  flags = [f"--config.{key}={value}" for key, value in settings.items()]
  xla = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
  address = f"localhost:{_free_port()}"

  def start(index):
    command = [sys.executable, str(ROOT / "experiments/train.py")]
    command += [f"--config={preset}", *flags, f"--run_dir={run_dir}"]
    command += [f"--coordinator={address}", "--num_processes=2"]
    return subprocess.Popen(
      [*command, f"--process_id={index}"],
      env=os.environ | {"XLA_FLAGS": xla, "PYTHONPATH": str(ROOT)},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  return [start(0), start(1)]


def _ends(processes, timeout=300):
  """(exit status, standard output, standard error) of each."""
  try:
    found = [p.communicate(timeout=timeout) for p in processes]
  finally:
    for process in processes:
      process.kill()
  return [(p.returncode, *texts) for p, texts in zip(processes, found, strict=True)]


def _same_metrics(one, two):
  first, second = (runs.read_metrics(path) for path in (one, two))
  assert len(first) == len(second) > 1
  for a, b in zip(first, second, strict=True):
    a, b = ({k: v for k, v in row.items() if not _is_time(k)} for row in (a, b))
    each, other = a.pop("by_seed", {}), b.pop("by_seed", {})
    assert (a.pop("phase"), a.keys()) == (b.pop("phase"), b.keys() | set())
    for x, y in ((a, b), (each, other)):
      for key in x:
        if not _is_time(key):
          np.testing.assert_allclose(x[key], y[key], rtol=1e-4, atol=1e-5, err_msg=key)


def _is_time(name):
  return name.startswith(("time", "seconds"))


def _without_times(results):
  return {
    k: v for k, v in results.items() if k not in ("updates_per_second", "seconds")
  }


def test_two_processes_train_what_one_does(corridor, tmp_path):
  processes = _start(tmp_path / "two", "bc", corridor)
  alone = _alone(tmp_path / "one", "bc", corridor)  # meanwhile
  for status, _, errors in _ends(processes):
    assert status == 0, errors
  together = runs.read_results(tmp_path / "two")
  assert _without_times(together) == _without_times(alone)
  assert together["device"].endswith("x4")
  _same_metrics(tmp_path / "one", tmp_path / "two")


def _wait_for_step(run_dir, processes, step):
  """Until the run has logged so many updates."""
  metrics, until = run_dir / "metrics.jsonl", time.monotonic() + 200
  while time.monotonic() < until and all(p.poll() is None for p in processes):
    if metrics.exists() and f'"step": {step}' in metrics.read_text():
      return
    time.sleep(0.2)
  raise AssertionError(_ends(processes, 1))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other(corridor, tmp_path, victim):
  """Within a minute, with one line; one process alone goes on from there."""
  run_dir = tmp_path / "run"
  processes = _start(run_dir, "bc", corridor, total_updates=200)
  _wait_for_step(run_dir, processes, 30)
  processes[victim].kill()
  start = time.monotonic()
  ends = _ends(processes, 60)
  assert time.monotonic() - start < 60
  status, _, errors = ends[1 - victim]
  assert status not in (0, None)
  said = [x for x in errors.splitlines() if x and not x.startswith(("train", "/"))]
  said = [x for x in said if not x.startswith("policies are not evaluated")]
  assert said == [f"error: {joining.LOST}"]
  resumed = _alone(run_dir, "bc", corridor, total_updates=200)
  whole = _alone(tmp_path / "whole", "bc", corridor, total_updates=200)
  assert _without_times(resumed) == _without_times(whole)
  _same_metrics(tmp_path / "whole", run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_a_signal_to_one_stops_both(corridor, tmp_path, asked):
  run_dir = tmp_path / "run"
  processes = _start(run_dir, "bc", corridor, total_updates=100_000)
  _wait_for_step(run_dir, processes, 20)
  processes[asked].send_signal(signal.SIGTERM)
  (first, _, errors), (second, _, _) = _ends(processes, 60)
  assert (first, second) == (0, 0)
  assert errors.splitlines()[-1] == f"stopped; the same command resumes {run_dir}"
  steps = [row["step"] for row in runs.read_metrics(run_dir)]
  assert (run_dir / "checkpoints" / "train" / str(steps[-1])).is_dir()


@pytest.mark.slow
def test_what_one_process_refuses_both_refuse(corridor, tmp_path):
  run_dir = tmp_path / "run"
  for status, _, errors in _ends(_start(run_dir, "bc", corridor, batch_size=10_000)):
    assert status == 1
    assert "batch_size: 10000 is larger than the dataset" in errors.splitlines()[-1]
  assert not run_dir.exists()
  one = _start(run_dir, "bc", corridor, data_parallel=1)
  for status, _, errors in _ends(one):
    assert status == 1
    assert "num_seeds: 1 with data_parallel 1 leaves one of 2" in errors


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (("a:1", 2, None), "process_id: is missing"),
    ((None, 2, 0), "coordinator: is missing"),
    (("here", 2, 0), "coordinator: 'here' is not allowed; write host:port"),
    (("a:1", 2, 2), "process_id: 2 is not allowed; 0 to 1 are"),
    ((None, 0, None), "num_processes: 0 is not allowed"),
  ],
)
def test_flags_that_are_not_allowed(given, message):
  with pytest.raises(ValueError, match=message), joining.joined(*given):
    pass
