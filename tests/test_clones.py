"""The program that clones every dataset, on a small one."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_clones_stand_beside_their_data(tmp_path):
  command = [sys.executable, "experiments/clones.py", f"--data_dir={tmp_path}/data"]
  command += [f"--run_dir={tmp_path}/runs", "--datasets=smax/2s3z/random@2000"]
  command += ["--updates=500", "--episodes=16"]
  first = subprocess.run(command, capture_output=True, text=True, check=True)
  path = tmp_path / "runs" / "smax-2s3z-random@2000" / "clone.json"
  played = json.loads(path.read_text())
  assert played["dataset"] == "smax/2s3z/random@2000"
  assert played["data"]["num_transitions"] >= 2000
  assert 0.9 < played["data"]["saco"] <= 1
  assert played["greedy"]["win_rate"] == played["sampled"]["win_rate"] == 0
  # Nobody who is random has a likeliest action: sampled play is like the data.
  assert played["sampled"]["return_mean"] == pytest.approx(
    played["data"]["return_mean"], abs=0.1
  )
  assert played["expert"]["win_rate"] > 0.9
  assert "smax/2s3z/random@2000" in (tmp_path / "runs" / "table.md").read_text()
  again = subprocess.run(command, capture_output=True, text=True, check=True)
  assert again.stdout.splitlines()[-6:] == first.stdout.splitlines()[-6:]
  assert "train bc" not in again.stderr  # nothing is done twice
