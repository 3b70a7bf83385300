"""Whole runs of the binaries: results, resuming, refusals."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from logo_jax import cli
from logo_jax.configs import config_dicts
from logo_jax.data import carried, collect, dataset, source
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment, playback

ROOT = pathlib.Path(__file__).parents[2]
DATASET = "smax/2s3z/medium-replay"
TRAIN = [sys.executable, str(ROOT / "experiments/train.py")]
# Small enough for seconds; two seeds, so that a run has several of each array.
SMALL = {
  "dataset": DATASET,
  "num_seeds": 2,
  "total_updates": 40,
  "collect_interval": 10,
  "batch_size": 16,
  "num_starts": 8,
  "horizon": 2,
  "replay_collections": 3,
  "fit.updates": 20,
  "fit.interval": 10,
  "fit.batch_size": 16,
  "fit.optimizer": "muon",  # whose state has more parts than Adam's
  "model.hidden_size": 8,
  "learner.hidden_size": 8,
  "learner.num_samples": 2,
  "evaluation.interval": 20,
  "evaluation.episodes": 4,
  "evaluation.final_episodes": 8,
  "checkpoint.interval": 10,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  collect.collect(collect.Request(DATASET, 1_500), folder)
  return folder


def _values(data_dir, preset="logo_macql", **changes):
  values = config_dicts.of_preset(preset)
  known = {key for key, _ in _flat(values.to_dict())}
  small = {k: v for k, v in SMALL.items() if k in known}
  named = {k.replace("__", "."): v for k, v in changes.items()}
  values.update_from_flattened_dict(small | {"data_dir": str(data_dir)} | named)
  return values


def _flat(mapping, prefix=""):
  for key, value in mapping.items():
    if isinstance(value, dict):
      yield from _flat(value, f"{prefix}{key}.")
    elif value is not None and key not in ("name", "preset"):
      yield prefix + key, value


def _command(data_dir, run_dir, preset="logo_macql", **changes):
  values = _values(data_dir, preset, **changes).to_dict()
  arguments = [f"--config.{key}={value}" for key, value in _flat(values)]
  return [*TRAIN, f"--config={preset}", *arguments, f"--run_dir={run_dir}"]


def _call(command, **kwargs):
  return subprocess.run(
    command, capture_output=True, text=True, check=False, timeout=900, **kwargs
  )


def _arrays(run_dir, data_dir):
  """Every array of the last checkpoint, as it lies on disk."""
  config = config_dicts.experiment_config(_values(data_dir))
  state = playback.restore(config, run_dir)[1]
  return jax.tree.map(np.asarray, state._replace(key=jax.random.key_data(state.key)))


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
  """An uninterrupted run, through the binary."""
  run_dir = tmp_path_factory.mktemp("runs") / "whole"
  done = _call(_command(data_dir, run_dir))
  assert done.returncode == 0, done.stderr
  return run_dir, done


def test_results_have_what_they_must(finished):
  run_dir, done = finished
  results = run_outputs.read_results(run_dir)
  for key in (
    "preset dataset seed dataset_return return_mean return_ci95 win_rate episodes "
    "updates updates_per_second seconds model"
  ).split():
    assert key in results, key
  assert results["preset"] == "logo_macql" and results["updates"] == 40
  assert results["episodes"] == 16  # two seeds of eight
  assert {"fit_model", "train", "evaluate"} <= set(results["seconds"])
  for key in (
    "state_rmse state_rmse_persistence reward_r2 legal_accuracy termination_recall leak"
  ).split():
    assert np.isfinite(results["model"][key]), key
  assert set(results["model"]["open_loop"]) == {"1", "5", "10", "15", "20"}
  # What follows from the data, the environment and the budget is told.
  stored = run_outputs.read_config(run_dir)
  assert stored["learner"]["reward_scale"] == 10.0 and stored["imagine_after"] == 8
  assert stored["learner"]["cql_weight"] == 1.0 and stored["termination"] == "learned"
  phases = [row["phase"] for row in run_outputs.read_metrics(run_dir)]
  assert phases == ["model"] * 2 + ["train"] * 5
  for name in (
    "config.json",
    "events",
    "figures/learning_curve.png",
    "checkpoints/model",
    "checkpoints/train",
  ):
    assert (run_dir / name).exists(), name
  assert "dataset" in done.stdout and "persistence" in done.stdout
  assert "fit model" in done.stderr and "train logo" in done.stderr


def test_a_finished_run_is_not_trained_again(finished, data_dir, capsys):
  run_dir, _ = finished
  before = (run_dir / "metrics.jsonl").read_bytes()
  results = _run(data_dir, run_dir)
  assert results == run_outputs.read_results(run_dir)
  assert "nothing is trained again" in capsys.readouterr().err
  assert (run_dir / "metrics.jsonl").read_bytes() == before


def test_each_seed_is_logged(finished):
  last = run_outputs.read_metrics(finished[0])[-1]
  for name in ("evaluation/return", "evaluation/win_rate", "learner/bellman_error"):
    assert len(last["by_seed"][name]) == 2
    assert np.mean(last["by_seed"][name]) == pytest.approx(last[name])


def test_playing_needs_no_data(finished, data_dir, tmp_path, monkeypatch):
  run_dir, _ = finished
  expected = run_outputs.read_results(run_dir)["return_by_seed"]
  with monkeypatch.context() as patch:
    patch.setattr(experiment, "load_dataset", None)
    assert playback.evaluate(run_dir, 8)["return_by_seed"] == expected
  # A run of a former version has kept nothing, and needs them.
  old = tmp_path / "old"
  shutil.copytree(run_dir, old)
  (old / "dataset.json").unlink()
  with pytest.raises(FileNotFoundError, match="there is no dataset folder .*nowhere"):
    playback.evaluate(old, 8, data_dir=tmp_path / "nowhere")
  assert playback.evaluate(old, 8, data_dir=data_dir)["return_by_seed"] == expected
  (old / "dataset.json").write_text('{"card": {}}')
  with pytest.raises(ValueError, match="dataset.json is damaged: 'statistics'"):
    playback.evaluate(old, 8)


def test_what_a_run_keeps_of_its_data(finished, data_dir):
  loaded = dataset.load(source.read(DATASET, data_dir))
  kept = carried.read(json.loads((finished[0] / "dataset.json").read_text()), "here")
  assert kept.spec == loaded.spec and kept.card == loaded.card
  jax.tree.map(np.testing.assert_array_equal, kept.statistics, loaded.statistics)
  # The same request, but other bytes: the run is not gone on with.
  other = loaded.card | {"content_hash": "other"}
  with pytest.raises(ValueError, match="was asked for as it was for here, but this"):
    carried.check_same(kept, other, "here")
  carried.check_same(kept, other | {"request_hash": "x"}, "here")


def test_evaluate_plays_a_checkpoint(finished, tmp_path):
  run_dir, _ = finished
  results = run_outputs.read_results(run_dir)
  binary = str(ROOT / "experiments/evaluate.py")
  command = [sys.executable, binary, f"--run_dir={run_dir}", "--episodes=8"]
  done = _call(command, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert "update 40, 16 episodes" in done.stdout
  # The same episodes as those of results.json.
  assert f"{results['return_mean']:.2f}" in done.stdout


@pytest.mark.parametrize(
  ("number", "phase", "lines"),
  [
    pytest.param(signal.SIGKILL, "train", 3, marks=pytest.mark.slow),
    pytest.param(signal.SIGTERM, "model", 1, marks=pytest.mark.slow),
  ],
)
def test_an_interrupted_run_equals_the_whole_one(
  finished, data_dir, tmp_path, number, phase, lines
):
  run_dir = tmp_path / "interrupted"
  command = _command(data_dir, run_dir)
  process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
  metrics = run_dir / "metrics.jsonl"
  deadline = time.monotonic() + 240
  while process.poll() is None and time.monotonic() < deadline:
    text = metrics.read_text() if metrics.exists() else ""
    if text.count(f'"phase": "{phase}"') >= lines:
      process.send_signal(number)
      break
    time.sleep(0.01)
  process.wait(timeout=120)
  assert len(run_outputs.read_metrics(run_dir)) < 7, "it was not interrupted in time"
  done = _call(command)
  assert done.returncode == 0, done.stderr
  whole = finished[0]
  for key in ("return_by_seed", "win_rate_by_seed", "model"):
    assert (
      run_outputs.read_results(run_dir)[key] == run_outputs.read_results(whole)[key]
    )
  jax.tree.map(
    np.testing.assert_array_equal, _arrays(run_dir, data_dir), _arrays(whole, data_dir)
  )
  rows = [
    [
      {k: v for k, v in row.items() if not k.startswith(("time", "seconds"))}
      for row in r
    ]
    for r in (run_outputs.read_metrics(run_dir), run_outputs.read_metrics(whole))
  ]
  assert rows[0] == rows[1]


def test_a_loss_that_is_not_finite_stops_the_run(data_dir, tmp_path):
  run_dir = tmp_path / "diverges"
  command = _command(data_dir, run_dir, "bc", learner__learning_rate=1e30)
  done = _call(command)
  assert done.returncode == 1
  assert done.stderr.splitlines()[-1].startswith("error: learner/bc_loss: ")
  assert "at update" in done.stderr and "Traceback" not in done.stderr
  assert not (run_dir / "results.json").exists()


def _run(data_dir, run_dir, preset="logo_macql", **changes):
  """What the binary does with its flags."""
  values = _values(data_dir, preset, **changes)
  return experiment.run(config_dicts.experiment_config(values), run_dir)


def _refused(parts, *run, **changes):
  """What a binary tells in one line (`test_cli`), which names it."""
  with pytest.raises((ValueError, OSError)) as info:
    _run(*run, **changes)
  assert isinstance(info.value, OSError) or cli._raised_here(info.tb)
  for part in parts:
    assert part in str(info.value)


def _tree(folder) -> dict:
  return {str(p): p.stat().st_mtime_ns for p in sorted(pathlib.Path(folder).rglob("*"))}


@pytest.mark.parametrize(
  ("changes", "parts"),
  [
    ({"horizon": 0}, ("horizon", "at least 1", "got 0")),
    pytest.param(
      {"batch_size": 4_000},
      ("batch_size", "4000", "transitions"),
      marks=pytest.mark.slow,
    ),
    ({"dataset": "smax/2s3z/superb"}, ("superb", "medium-replay")),
    ({"dataset": "smax/9z/medium"}, ("9z", "2s3z")),
    pytest.param(
      {"learner__cql_weight": -1.0},
      ("learner.cql_weight", "-1.0"),
      marks=pytest.mark.slow,
    ),
  ],
)
def test_mistakes_are_told_and_write_nothing(data_dir, tmp_path, changes, parts):
  before = _tree(data_dir)
  run_dir = tmp_path / "refused"
  _refused(parts, data_dir, run_dir, **changes)
  assert not run_dir.exists()
  assert _tree(data_dir) == before


def test_nothing_is_collected_for_what_is_refused(finished, tmp_path):
  """Without data, too, mistakes are found before anything is written."""
  data_dir = tmp_path / "none"
  new = tmp_path / "refused"
  _refused(["bc_weight"], data_dir, new, learner__bc_weight=-1.0)
  _refused(["batch_size", "10"], data_dir, new, num_transitions=10)
  run_dir, _ = finished
  _refused(["bc_weight"], data_dir, run_dir, learner__bc_weight=2.0)
  assert not data_dir.exists() and not new.exists()


def test_another_config_for_the_same_folder_is_refused(finished, data_dir):
  run_dir, _ = finished
  before = _tree(run_dir)
  parts = "learner.bc_weight", "0.1", "2.0"
  _refused(parts, data_dir, run_dir, learner__bc_weight=2.0)
  assert _tree(run_dir) == before


def test_a_folder_that_cannot_be_written_is_refused(data_dir):
  _refused(["/proc/run"], data_dir, "/proc/run")


def _copy_of_data(data_dir, tmp_path) -> pathlib.Path:
  shutil.copytree(data_dir, tmp_path / "data")
  return tmp_path / "data" / DATASET


@pytest.mark.parametrize(
  "damage",
  ["truncated", pytest.param("nan", marks=pytest.mark.slow), "other"],
)
def test_damaged_data_is_refused(data_dir, tmp_path, damage):
  folder = _copy_of_data(data_dir, tmp_path)
  if damage == "truncated":
    file = folder / "obs.npy"
    file.write_bytes(file.read_bytes()[:-100])
    parts = ("obs",)
  elif damage == "nan":
    reward = np.load(folder / "reward.npy")
    reward[7] = np.nan
    np.save(folder / "reward.npy", reward)
    parts = ("reward",)
  else:
    card = json.loads((folder / "card.json").read_text())
    card["name"] = card["name"].replace("2s3z", "3m")
    (folder / "card.json").write_text(json.dumps(card))
    parts = ("smax/3m/medium-replay", DATASET)
  run_dir = tmp_path / "refused"
  _refused(parts, tmp_path / "data", run_dir)
  assert not run_dir.exists()


def test_best_and_last_checkpoints_are_kept(finished):
  run_dir, _ = finished
  with Checkpointer(run_dir / "checkpoints/train", read_only=True) as checkpoints:
    assert checkpoints.latest_step() == 40
    assert checkpoints.best_step() in (20, 40)
