"""A whole run on a robot: collected, trained on, and played on real MuJoCo."""

from logo_jax.configs import config_dicts
from logo_jax.data import collect
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment, playback


def test_cloning_a_hopper(tmp_path):
  name = "mamujoco/hopper-3x1/medium-replay"
  collect.collect(collect.Request(name, 1_500), tmp_path)
  values = config_dicts.of_preset("bc")
  values.update_from_flattened_dict(
    {
      "dataset": name,
      "data_dir": str(tmp_path),
      "num_seeds": 2,
      "total_updates": 4,
      "collect_interval": 2,
      "batch_size": 8,
      "evaluation.interval": 2,
      "evaluation.episodes": 2,
      "evaluation.final_episodes": 3,
      "checkpoint.interval": 2,
      "learner.hidden_size": 8,
    }
  )
  config = config_dicts.experiment_config(values)
  results = experiment.run(config, tmp_path / "run")
  assert results is not None
  assert results["episodes"] == 6
  assert len(results["return_by_seed"]) == 2
  assert 0 < results["return_mean"] < 1000
  logged = run_outputs.read_metrics(tmp_path / "run")[-1]
  assert len(logged["by_seed"]["evaluation/return"]) == 2
  for names in (results, logged):  # nothing can be won
    assert not [name for name in names if "win_rate" in name]
  again = playback.evaluate(tmp_path / "run", 3)
  assert again["return_by_seed"] == results["return_by_seed"]
