"""Whole runs with a planner, on a robot: trained on, and played by either actor."""

import pytest

from logo_jax.configs import config_dicts
from logo_jax.data import collect
from logo_jax.reporting import results as result_rows
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment, playback

NAME = "mamujoco/hopper-3x1/medium-replay"


@pytest.mark.slow
def test_who_played_is_told_and_can_be_chosen(tmp_path):
  collect.collect(collect.Request(NAME, 1_500), tmp_path)
  values = config_dicts.of_preset("macql_mpc")
  values.update_from_flattened_dict(
    {
      "dataset": NAME,
      "data_dir": str(tmp_path),
      "num_seeds": 2,
      "total_updates": 4,
      "collect_interval": 2,
      "batch_size": 8,
      "fit.updates": 4,
      "fit.interval": 2,
      "fit.batch_size": 8,
      "evaluation.interval": 4,
      "evaluation.episodes": 2,
      "evaluation.final_episodes": 2,
      "checkpoint.interval": 4,
      "learner.hidden_size": 8,
      "learner.num_samples": 2,
      "learner.advice_weight": 0.5,
      "model.hidden_size": 8,
      "planner.horizon": 2,
      "planner.share": 0.5,
    }
  )
  # A score that is learned from data has parameters to be found again, too.
  values.uncertainty = {"name": "path_discrepancy"}
  values.weighting = {"name": "penalty"}
  config = config_dicts.experiment_config(values)
  folder = tmp_path / "run"
  results = experiment.run(config, folder)
  assert results is not None and results["actor"] == "planner"
  assert results["centralised"] is True
  assert result_rows.system_row(results)["system"] == "macql_mpc, centralised play"
  assert run_outputs.read_metrics(folder)[-1]["learner/advice_loss"] > 0
  again = playback.evaluate(folder, 2)
  assert again["return_by_seed"] == results["return_by_seed"]
  alone = playback.evaluate(folder, 2, actor="policy")
  assert alone["centralised"] is False
  assert alone["return_by_seed"] != results["return_by_seed"]
