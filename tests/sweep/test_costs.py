"""What is said of how long a plan takes."""

import json

import pytest

from logo_jax.sweep import costs, progress, status
from logo_jax.sweep.cells import Cell


def _cell(name, dataset="smax/3m/medium", updates=100, seeds=1, learner="macql"):
  config = {
    "dataset": dataset,
    "learner": {"name": learner},
    "total_updates": updates,
    "num_seeds": seeds,
  }
  return Cell(name, "experiment", config)


def test_cells_take_as_long_as_their_like():
  plan = [_cell("a"), _cell("b", updates=200, seeds=3), _cell("far", "smax/2s3z/x", 50)]
  found = costs.estimates(plan, {"a": 10.0})
  assert found == {"a": 10.0, "b": 60.0, "far": 5.0}
  # Of the same scenario, if there is one.
  found = costs.estimates([*plan, _cell("c", "smax/2s3z/y")], {"a": 10.0, "c": 40.0})
  assert found["far"] == 20.0 and found["b"] == 60.0


def test_rates_where_nothing_was_measured():
  found = costs.estimates([_cell("a", updates=1_000), _cell("b", "mamujoco/x/y")], {})
  assert found == pytest.approx({"a": 40 + 12, "b": 40 + 2})


def test_dear_models_and_advice_have_rates_of_their_own():
  def seconds(kind, **config):
    return costs.estimates([Cell("a", kind, _cell("a").config | config)], {})["a"]

  fits = [
    seconds("fit", model={"name": name}, fit={"updates": 1_000})
    for name in ("logo", "ensemble", "rssm")
  ]
  assert fits == sorted(fits) and fits[2] > 10 * fits[0]
  model = {"name": "rssm"}
  on_rows, on_latents = (
    seconds("experiment", model=model, learner={"name": name})
    for name in ("macql", "mappo")
  )
  assert on_latents > 5 * on_rows
  advice = {"name": "macql", "advice_weight": 1.0}
  alone, advised = (
    seconds("experiment", learner=advice, planner=planner)
    for planner in (None, {"name": "mpc"})
  )
  assert advised > alone


@pytest.mark.parametrize(
  ("seconds", "words"), [(40.4, "40 s"), (720, "12 min"), (11_100, "3 h 05")]
)
def test_times_are_readable(seconds, words):
  assert costs.in_words(seconds) == words


def test_the_line_counts_cells_and_time():
  plan = [_cell("a"), _cell("b"), _cell("c")]
  shown = status.Status(plan, {"a"}, {"a": 1.0, "b": 600.0, "c": 600.0}, workers=2)
  assert shown.line() == "1/3 cells, 0 running, 0 s gone, about 10 min left"
  shown.begun(plan[1])
  shown.ended(plan[1], 1_200.0)  # twice as long as estimated, and so will be the next
  assert shown.line() == "2/3 cells, 0 running, 0 s gone, about 10 min left"


def test_a_running_cell_tells_what_is_left():
  plan = [_cell("a"), _cell("b")]
  told = {"a": 300.0}
  shown = status.Status(plan, (), {"a": 60.0, "b": 60.0}, 1, progress=told.get)
  assert shown.line().endswith("about 2 min left")
  shown.begun(plan[0])
  assert shown.line().endswith("about 6 min left")
  told["a"] = 3_600.0  # is not asked for all the time
  assert shown.line().endswith("about 6 min left")


def test_the_pace_is_that_of_the_last_lines(tmp_path, monkeypatch):
  cell = _cell("a", updates=240)
  assert progress.seconds_left(cell, tmp_path) is None
  rows = [("clone", 500, 10.0), ("train", 0, 100.0), ("train", 20, 300.0)]
  rows += [("train", 20 * k, 300.0 + 40 * (k - 1)) for k in range(2, 6)]
  lines = [
    json.dumps(dict(zip(("phase", "step", "time"), x, strict=True))) for x in rows
  ]
  monkeypatch.setattr(progress.time, "time", lambda: 470.0)
  (tmp_path / "a").mkdir()
  file = tmp_path / "a" / "metrics.jsonl"
  file.write_text("\n".join(lines[:2]) + "\n")
  assert progress.seconds_left(cell, tmp_path) is None  # one line shows no pace
  file.write_text("\n".join(lines) + "\n")
  # 140 updates at 2 s each after the last line, which is 10 s old.
  assert progress.seconds_left(cell, tmp_path) == 270.0
