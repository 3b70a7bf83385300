"""The benchmarks of one accelerator run through where there is none."""

import json
import pathlib
import subprocess

import pytest

_SCRIPT = pathlib.Path(__file__).parents[1] / "benchmarks/gpu.sh"


@pytest.mark.slow
def test_one_json_has_all_parts(tmp_path):
  out = tmp_path / "quick.json"
  done = subprocess.run(
    ["bash", str(_SCRIPT), str(out), "--quick"], capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert "left out" not in done.stderr
  parts = json.loads(out.read_text())
  assert set(parts) == {"learners", "sampling", "imagination", "seeds"}
  assert all("device" in part for part in parts.values())
