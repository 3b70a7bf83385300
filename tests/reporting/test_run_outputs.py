"""Reading what runs have left."""

import json
import math

import numpy as np
import pytest

from logo_jax.reporting import run_outputs


def write(folder, lines, tail=""):
  folder.mkdir()
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (folder / "metrics.jsonl").write_text(text + tail)
  return folder


def point(step, value, phase="train"):
  return {"phase": phase, "step": step, "evaluation/return": value}


def test_read_metrics(tmp_path):
  run = write(tmp_path / "a", [point(1, None), point(2, 3.5)], '{"phase": "tr')
  first, second = run_outputs.read_metrics(run)
  assert math.isnan(first["evaluation/return"]) and first["step"] == 1
  assert second == point(2, 3.5)


def test_read_results_and_config(tmp_path):
  with pytest.raises(ValueError, match="holds no results.json; it has not finished"):
    run_outputs.read_results(tmp_path)
  with pytest.raises(ValueError, match="holds no config.json; it is no run folder"):
    run_outputs.read_config(tmp_path)
  with pytest.raises(ValueError, match="holds no metrics.jsonl"):
    run_outputs.read_metrics(tmp_path)
  (tmp_path / "results.json").write_text('{"return": 1.5}')
  (tmp_path / "config.json").write_text('{"seed": 1}')
  assert run_outputs.read_results(tmp_path) == {"return": 1.5}
  assert run_outputs.read_config(tmp_path) == {"seed": 1}


def test_curve_over_shared_steps(tmp_path):
  a = write(tmp_path / "a", [point(0, 9.0, "model"), point(1, 4.0), point(2, 6.0)])
  b = write(tmp_path / "b", [point(1, 6.0), point(2, 6.0), point(3, 7.0)])
  steps, mean, ci = run_outputs.curve([a, b], "evaluation/return")
  np.testing.assert_array_equal(steps, [1, 2])
  np.testing.assert_array_equal(mean, [5.0, 6.0])
  np.testing.assert_allclose(ci, [12.7062, 0.0], atol=1e-4)  # t(0.975, 1) * 1
  _, mean, ci = run_outputs.curve([a], "evaluation/return")
  np.testing.assert_array_equal(mean, [4.0, 6.0])
  assert np.isnan(ci).all()


def test_each_seed_of_a_run_counts(tmp_path):
  first = point(1, 5.0) | {"by_seed": {"evaluation/return": [4.0, 6.0]}}
  second = point(2, 6.0) | {"by_seed": {"evaluation/return": [6.0, None]}}
  run = write(tmp_path / "a", [first])
  _, mean, ci = run_outputs.curve([run], "evaluation/return")
  np.testing.assert_array_equal(mean, [5.0])
  np.testing.assert_allclose(ci, [12.7062], atol=1e-4)  # t(0.975, 1) * 1
  other = write(tmp_path / "b", [point(1, 8.0), second])
  _, mean, _ = run_outputs.curve([run, other], "evaluation/return")
  np.testing.assert_array_equal(mean, [6.0])  # of 4, 6 and 8
  assert math.isnan(
    run_outputs.read_metrics(other)[1]["by_seed"]["evaluation/return"][1]
  )


def test_curve_without_points_is_refused(tmp_path):
  a = write(tmp_path / "a", [point(1, 4.0)])
  with pytest.raises(ValueError, match="metric: 'x' has no train step"):
    run_outputs.curve([a], "x")
