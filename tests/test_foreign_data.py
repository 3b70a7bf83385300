"""A whole run on a published file, as it is."""

import h5py
import numpy as np
import pytest

from logo_jax.configs import config_dicts
from logo_jax.reporting import results as rows
from logo_jax.reporting import tables
from logo_jax.runs import experiment, playback


@pytest.fixture
def path(tmp_path):
  """A small file in the layout of CFCQL's SMAC data: 6 episodes of 3 agents."""
  rng = np.random.default_rng(0)
  shape = (6, 9)
  length = np.array([8, 5, 8, 3, 8, 8])
  time = np.arange(9)
  arrays = {
    "state": rng.normal(size=(*shape, 4)).astype(np.float32),
    "obs": rng.normal(size=(*shape, 3, 5)).astype(np.float32),
    "actions": np.ones((*shape, 3, 1), np.int64),
    "avail_actions": np.ones((*shape, 3, 4), np.int32),
    "reward": rng.normal(size=(*shape, 1)).astype(np.float32),
    "terminated": (time == length[:, None] - 1)[..., None].astype(np.uint8),
    "filled": (time <= length[:, None])[..., None].astype(np.int64),
  }
  with h5py.File(tmp_path / "toy_medium.h5", "w") as file:
    for name, array in arrays.items():
      file[name] = array
  return tmp_path / "toy_medium.h5"


@pytest.mark.parametrize(
  "preset", ["bc", pytest.param("logo_macql", marks=pytest.mark.slow)]
)
def test_training_on_a_file_that_no_environment_plays(path, tmp_path, preset):
  values = config_dicts.of_preset(preset)
  small = {
    "dataset": str(path),
    "total_updates": 4,
    "collect_interval": 2,
    "batch_size": 8,
    "evaluation.interval": 2,
    "checkpoint.interval": 2,
    "learner.hidden_size": 8,
  }
  if preset == "logo_macql":
    small |= {
      "fit.updates": 4,
      "fit.interval": 2,
      "fit.batch_size": 8,
      "model.hidden_size": 8,
      "num_starts": 4,
      "horizon": 2,
    }
  values.update_from_flattened_dict(small)
  config = config_dicts.experiment_config(values)
  results = experiment.run(config, tmp_path / "run")
  assert results is not None
  assert "return_mean" not in results
  assert results["dataset_transitions"] == 40
  assert "dataset_win_rate" not in results  # nothing is known of it
  assert ("model" in results) == (preset == "logo_macql")
  table = tables.text_table([rows.dataset_row(results), rows.system_row(results)])
  assert preset in table
  assert experiment.run(config, tmp_path / "run") == results  # finished
  (tmp_path / "run/results.json").write_text('{"preset": "bc"}')
  again = experiment.run(config, tmp_path / "run")  # from the last checkpoint
  assert again is not None
  for key in ("dataset_return", "updates", "updates_per_second"):
    assert again[key] == results[key]
  with pytest.raises(ValueError, match="cannot be played: no environment here"):
    playback.evaluate(tmp_path / "run", 8)
  (tmp_path / "run/results.json").write_text("[]")
  (tmp_path / "run/checkpoints/train").rename(tmp_path / "gone")
  with pytest.raises(ValueError, match="results.json must hold a JSON object"):
    experiment.run(config, tmp_path / "run")
