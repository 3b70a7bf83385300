"""What is reported of world models."""

import numpy as np
import pytest

from logo_jax.reporting import model_figure, model_results, results


def _model(mse):
  seeds = np.array(mse)
  found = {
    f"{kind}_{unit}": {"1": seeds, "5": 2 * seeds}
    for kind in ("state", "obs")
    for unit in ("mse", "rmse")
  }
  heads = "reward_r2 reward_rmse termination_recall termination_false_alarms"
  for name in (*heads.split(), "legal_accuracy", "legal_attack_accuracy"):
    found[name] = np.array([0.25, 0.75])
  found["termination_recall"] = np.array([np.nan, np.nan])
  return found | {
    "parameters": np.array([1234, 1234]),
    "seconds": np.array([61.4]),
    "spearman": {"u": {"1": np.array([0.5, 0.75])}},
    "auroc": {"u": np.array([0.5, 1.0])},
  }


def _results(floor):
  errors = {f"{k}_{u}": {"1": 3.0, "5": 4.0} for k in ("state", "obs") for u in _UNITS}
  models = {"a": model_results.over_seeds(_model([0.5, 1.5]))}
  return {"models": models, "persistence": errors, "floor": floor}


_UNITS = ("mse", "rmse")


def test_means_and_intervals_over_seeds():
  found = model_results.over_seeds({"x": {"1": np.array([0.0, 1.0])}, "y": [2.0]})
  assert found["x"]["1"]["mean"] == 0.5 and found["x"]["1"]["seeds"] == [0.0, 1.0]
  # Student's t of one degree of freedom: 12.706 * 0.7071 / sqrt(2).
  np.testing.assert_allclose(found["x"]["1"]["ci95"], 6.353, rtol=1e-3)
  assert found["y"]["mean"] == 2.0 and np.isnan(found["y"]["ci95"])


def test_tables():
  text = model_results.report(_results({"state_mse": {"1": 0.01}}))
  lines = {
    line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line
  }
  state = text.split("\n\n")[1].splitlines()
  assert state[2].split() == "| a | 1.0000 ± 6.3531 | 2.0000 ± 12.7062 |".split()
  assert state[3].split() == "| persistence | 3.0000 | 4.0000 |".split()
  assert state[4].split() == "| floor | 0.0100 | – |".split()
  assert "1234" in text and " 61 " in text and "ρ at 1" in text and "AUROC" in text
  assert "nan" not in text and "a" in lines
  no_chance = model_results.report(_results({"state_mse": {"1": 0.0, "5": 0.0}}))
  assert "0 (deterministic)" in no_chance
  assert "floor" not in model_results.report(_results({}))
  known = model_results.report(_results({"reward_r2": 0.875}))
  floor = [line.split() for line in known.splitlines() if "| floor" in line]
  assert floor == ["| floor | 0.8750 | – | – | – | – | – | – | – |".split()]


def test_runs_of_models_without_states():
  errors = {"state_rmse": float("nan"), "state_rmse_persistence": 1.0}
  known = errors | {"state_rmse": 0.5}
  rows = results.model_rows({"model": {"open_loop": {"1": errors, "5": known}}})
  assert [row["state RMSE"] for row in rows] == [None, 0.5]


def test_curves_for_the_figure():
  curves = model_results.curves(_results({}), "state_mse")
  steps, mean, _ = curves["a"]
  assert steps == [1, 5] and mean == [1.0, 2.0]


def test_principal_components_by_hand():
  # Along (3, 4) / 5 with deviation 5, across it with deviation 1.
  along, across = np.array([0.6, 0.8]), np.array([-0.8, 0.6])
  x = np.array([7.0, 1.0]) + np.array([5 * along, -5 * along, across, -across])
  centre, directions, shares = model_figure.principal_components(x)
  np.testing.assert_allclose(centre, [7, 1])
  np.testing.assert_allclose(directions, [along, -across], atol=1e-12)
  np.testing.assert_allclose(shares, [25 / 26, 1 / 26])


@pytest.mark.parametrize("features", [1, 6])
def test_figure(tmp_path, features):
  rng = np.random.default_rng(0)
  states = {
    "one": {h: (rng.normal(size=(50, features)),) * 2 for h in (1, 10)},
    "short": {1: (rng.normal(size=(1, features)),) * 2},
    "none": {},
  }
  curves = {
    "one": ([1, 5], [0.1, 0.2], [0.01, np.nan]),
    "none": ([1, 5], [np.nan, np.nan], [np.nan, np.nan]),
  }
  references = {"persistence": {"1": 0.5, "5": 0.9}, "floor": {"1": 0.0}}
  path = tmp_path / "model_error.png"
  model_figure.draw(path, states, curves, references, "toy")  # type: ignore
  assert path.stat().st_size > 10_000
  assert [p.name for p in tmp_path.iterdir()] == ["model_error.png"]


def test_the_legend_is_that_of_a_model_with_states(tmp_path, monkeypatch):
  seen = []

  def dress(figure, first, shares):
    seen.extend(first.get_legend_handles_labels()[1])

  monkeypatch.setattr(model_figure, "dress_panels", dress)
  states = {"none": {}, "one": {1: (np.ones((5, 2)), np.zeros((5, 2)))}}
  curves = {"one": ([1], [0.1], [0.01])}
  model_figure.draw(tmp_path / "x.png", states, curves, {})  # type: ignore
  assert seen == ["recorded", "predicted"]


def test_a_figure_without_states_is_refused(tmp_path):
  with pytest.raises(ValueError, match="states: none are given"):
    model_figure.draw(tmp_path / "x.png", {"one": {}}, {}, {})
