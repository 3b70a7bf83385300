"""A comparison as a user runs it, shortened; minutes long."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def _compare(tmp_path, *arguments):
  command = [
    sys.executable,
    str(ROOT / "experiments/compare.py"),
    "--datasets=mamujoco/hopper-3x1/medium-replay",
    "--updates=500",
    "--fit_updates=500",
    "--num_seeds=2",
    "--curve_episodes=2",
    "--episodes=4",
    f"--data_dir={tmp_path / 'data'}",
    f"--run_dir={tmp_path / 'runs'}",
    *arguments,
  ]
  return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_systems_share_their_world_model(tmp_path):
  done = _compare(tmp_path, "--presets=bc,logo_macql,logo_omiga")
  assert done.returncode == 0, done.stderr
  folder = tmp_path / "runs/mamujoco-hopper-3x1-medium-replay"
  summary = json.loads((folder / "summary.json").read_text())
  assert list(summary) == ["bc", "logo_macql", "logo_omiga"]
  assert "fit_model" in summary["logo_macql"]["seconds"]
  assert "fit_model" not in summary["logo_omiga"]["seconds"]
  assert "win_rate" not in summary["bc"]  # nothing can be won
  table = (folder / "table.md").read_text()
  assert "win rate" not in table and "logo_omiga" in table
  for preset, results in summary.items():
    assert results["episodes"] == 8
    assert f"{results['return_mean']:.2f}" in done.stdout, preset
  assert (folder / "learning_curves.png").stat().st_size > 10_000
  # Elsewhere with the same fit, which is not learned again.
  other = _compare(
    tmp_path,
    "--presets=logo_uniform",
    f"--fits={folder / 'logo'}",
    f"--run_dir={tmp_path / 'other'}",
  )
  assert other.returncode == 0, other.stderr
  elsewhere = tmp_path / "other" / folder.name / "summary.json"
  seconds = json.loads(elsewhere.read_text())["logo_uniform"]["seconds"]
  assert "train" in seconds and "fit_model" not in seconds
  # Again, with one more: what is finished is not trained again.
  more = _compare(tmp_path, "--presets=bc,logo_macql,logo_omiga,omiga")
  assert more.returncode == 0, more.stderr
  assert more.stderr.count("is finished; nothing is trained again") == 3


@pytest.mark.parametrize(
  ("presets", "message"),
  [
    ("bc,nothing", "presets: 'nothing': preset: must be one of"),
    (
      "a@logo_macql:model_run=runs/x",
      "presets: 'a': model_run is the same for all; use a",
    ),
  ],
)
def test_mistakes_are_one_line_and_train_nothing(tmp_path, presets, message):
  done = _compare(tmp_path, f"--presets={presets}")
  assert done.returncode == 1
  assert done.stderr.startswith("error: " + message)
  assert not (tmp_path / "runs").exists()
