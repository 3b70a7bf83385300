"""The quickstart as a newcomer runs it, shortened; minutes long."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.slow
def test_quickstart(tmp_path):
  command = [
    sys.executable,
    str(ROOT / "experiments/quickstart.py"),
    "--updates=500",
    f"--data_dir={tmp_path / 'data'}",
    f"--run_dir={tmp_path / 'runs'}",
  ]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert "is missing: collecting 100000 transitions" in done.stderr
  for phase in ("train bc", "train macql", "fit model", "train logo"):
    assert phase in done.stderr
  summary = json.loads((tmp_path / "runs/summary.json").read_text())
  assert list(summary) == ["bc", "macql", "logo"]
  for preset, results in summary.items():
    assert f"{results['return_mean']:.2f}" in done.stdout
    assert results["return_mean"] > results["dataset_return"]
    assert (tmp_path / "runs" / preset / "results.json").exists()
  assert (tmp_path / "runs/learning_curves.png").stat().st_size > 10_000
  model = summary["logo"]["model"]
  assert model["state_rmse"] < model["state_rmse_persistence"]
  assert model["leak"] < 0.3
