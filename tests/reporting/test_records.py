"""The one schema of results, and the shapes that others read."""

import csv
import json

import numpy as np
import pytest

from logo_jax.reporting import export, records


def record(system, seeds, dataset="smax/3m/medium", **more):
  """A record of returns, where 1 is random play's and 3 the expert's."""
  data = {"return": 1.5, "random": 1.0, "expert": 3.0}
  measures = {
    "return": {"mean": float(np.mean(seeds)), "ci95": 0.2, "seeds": seeds},
    "normalised": {
      "mean": (float(np.mean(seeds)) - 1) / 2,
      "ci95": 0.1,
      "seeds": [(x - 1) / 2 for x in seeds],
    },
  }
  return {
    "system": system,
    "dataset": dataset,
    "budget": "quick",
    "updates": 500,
    "fit_updates": 0,
    "seed": 7,
    "num_seeds": len(seeds),
    "measures": measures,
    "data": data,
    "dataset_hash": "d",
    "config_hash": "c",
    "versions": {"logo_jax": "0.1.0"},
    "device": "cpu x1",
    "seconds": 60.0,
    "command": "python experiments/reproduce.py --table=2",
  } | more


def _run(folder, **more):
  """A run's folder as it is when finished."""
  folder.mkdir(parents=True)
  config = {
    "model": {"name": "logo"},
    "fit": {"updates": 30},
    "dataset_hash": "d",
    "data_dir": "/there",
    "model_run": "/elsewhere",
  }
  results = {
    "preset": "logo_macql",
    "dataset": "smax/3m/medium",
    "dataset_return": 1.5,
    "dataset_return_ci95": 0.1,
    "updates": 500,
    "seed": 7,
    "num_seeds": 2,
    "return_mean": 2.0,
    "return_ci95": 0.5,
    "return_by_seed": [1.5, 2.5],
    "win_rate": 0.5,
    "win_rate_ci95": [0.4, 0.8],
    "win_rate_by_seed": [0.25, 0.75],
    "ci95_over": "seeds",
    "versions": {"logo_jax": "0.1.0"},
    "device": "cpu x1",
    "seconds": {"train": 10.0, "load": 1.25},
  } | more
  card = {"behaviour": {"random_return": 1.0, "expert_return": 3.0}}
  files = {"config": config, "results": results, "dataset": {"card": card}}
  for name, value in files.items():
    (folder / f"{name}.json").write_text(json.dumps(value))
  return folder


def test_a_run_has_a_record(tmp_path):
  found = records.of_run(_run(tmp_path / "a"), "quick", "python x")
  assert found["measures"]["normalised"] == {
    "mean": 0.5,
    "ci95": 0.25,
    "seeds": [0.25, 0.75],
    "over": "seeds",
  }
  assert found["measures"]["win_rate"]["ci95"] == pytest.approx(0.2)
  assert found["data"] == {
    "return": 1.5,
    "return_ci95": 0.1,
    "random": 1.0,
    "expert": 3.0,
  }
  assert (found["fit_updates"], found["seconds"]) == (30, 11.2)
  assert "/there" not in json.dumps(found)


def test_paths_do_not_change_the_hash():
  one = {"seed": 0, "data_dir": "a", "model_run": "b"}
  assert records.config_hash(one) == records.config_hash(one | {"data_dir": "c"})
  assert records.config_hash(one) != records.config_hash(one | {"seed": 1})


def test_the_long_table_has_a_row_for_each_seed(tmp_path):
  records.write_csv(
    tmp_path / "long.csv", [record("bc", [1.0, 2.0]), record("x", [3.0])]
  )
  rows = list(csv.DictReader((tmp_path / "long.csv").read_text().splitlines()))
  assert tuple(rows[0]) == records.COLUMNS
  returns = [r for r in rows if r["metric"] == "return"]
  found = [(r["system"], r["seed"], float(r["value"])) for r in returns]
  assert found == [("bc", "7", 1.0), ("bc", "8", 2.0), ("x", "7", 3.0)]
  assert {r["version"] for r in rows} == {"0.1.0"}


def test_what_is_no_record_is_refused(tmp_path):
  (tmp_path / "a.json").write_text("{}")
  with pytest.raises(ValueError, match="a.json is no record"):
    records.read_folder(tmp_path)


def test_scores_are_seeds_by_tasks_that_all_have(tmp_path):
  every = [
    record("bc", [1.0, 2.0]),
    record("bc", [3.0, 3.0, 1.0], "smax/2s3z/medium"),
    record("x", [2.0, 3.0]),
    record("x", [1.0, 1.0], "smax/2s3z/medium"),
    record("x", [1.0, 1.0], "smax/5m/medium"),
  ]
  arrays, tasks = export.scores(every)
  assert tasks == ["smax/2s3z/medium", "smax/3m/medium"]
  np.testing.assert_array_equal(arrays["bc"], [[1.0, 0.0], [1.0, 0.5]])
  np.testing.assert_array_equal(arrays["x"], [[0.0, 0.5], [0.0, 1.0]])
  export.write(tmp_path, every)
  with np.load(tmp_path / "scores.npz") as stored:
    np.testing.assert_array_equal(stored["bc"], arrays["bc"])
  assert json.loads((tmp_path / "scores.json").read_text())["tasks"] == tasks
  nested = json.loads((tmp_path / "marl_eval.json").read_text())
  run = nested["smax"]["3m/medium"]["bc"]["seed_8"]
  assert run["absolute_metrics"] == {"return": [2.0], "normalised": [0.5]}
  assert run["step_0"]["step_count"] == 500 and run["step_0"]["return"] == [2.0]


def test_rows_of_one_dataset_are_tasks_of_their_own(tmp_path):
  every = [
    record(system, [value], "smax/3m/medium", row=row)
    for system, first in (("bc", 1.0), ("x", 2.0))
    for value, row in ((first, "5 steps"), (first + 1, "10 steps"))
  ]
  arrays, tasks = export.scores([*every, record("bc", [3.0], "smax/5m/medium")])
  assert tasks == ["smax/3m/medium, 10 steps", "smax/3m/medium, 5 steps"]
  np.testing.assert_array_equal(arrays["bc"], [[0.5, 0.0]])
  np.testing.assert_array_equal(arrays["x"], [[1.0, 0.5]])
  export.write(tmp_path, every)
  nested = json.loads((tmp_path / "marl_eval.json").read_text())["smax"]
  runs = [nested[f"3m/medium, {k} steps"]["bc"]["seed_7"] for k in (5, 10)]
  assert [run["absolute_metrics"]["return"] for run in runs] == [[1.0], [2.0]]


def test_a_system_with_few_tasks_does_not_take_those_of_others():
  every = [
    record(system, [1.0], f"smax/{name}/medium")
    for system, names in (("late", "a"), ("bc", "abc"), ("x", "bcd"))
    for name in names
  ]
  arrays, tasks = export.scores(every)
  assert list(arrays) == ["bc", "x"] and tasks == ["smax/b/medium", "smax/c/medium"]
  # Where that keeps no more scores, nobody is left out.
  more = [record(system, [1.0], "smax/b/medium") for system in ("late", "y")]
  arrays, tasks = export.scores([*every[:-1], *more])
  assert list(arrays) == ["late", "bc", "x", "y"] and tasks == ["smax/b/medium"]


def test_nothing_in_common_is_no_scores():
  assert export.scores([record("a", [1.0]), record("b", [1.0], "smax/x/y")]) == ({}, [])
