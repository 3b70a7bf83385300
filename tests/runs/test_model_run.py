"""A world model taken over from another run."""

import jax
import numpy as np
import pytest

from logo_jax.configs import config_dicts
from logo_jax.data import collect
from logo_jax.runs import experiment, playback

pytestmark = pytest.mark.slow
DATASET = "smax/2s3z/medium-replay"
SMALL = {
  "dataset": DATASET,
  "total_updates": 4,
  "collect_interval": 2,
  "batch_size": 8,
  "num_starts": 4,
  "horizon": 2,
  "replay_collections": 2,
  "fit.updates": 4,
  "fit.interval": 2,
  "fit.batch_size": 8,
  "model.hidden_size": 8,
  "learner.hidden_size": 8,
  "learner.num_samples": 2,
  "evaluation.interval": 2,
  "evaluation.episodes": 2,
  "evaluation.final_episodes": 2,
  "checkpoint.interval": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("runs")
  collect.collect(collect.Request(DATASET, 1_500), path / "data")
  experiment.run(_config(path), path / "first")
  return path


def _config(folder, preset="logo_macql", **changes):
  values = config_dicts.of_preset(preset)
  values.data_dir = str(folder / "data")
  values.update_from_flattened_dict(
    {k: v for k, v in SMALL.items() if k in _keys(values)}
  )
  values.update_from_flattened_dict(
    {k.replace("__", "."): v for k, v in changes.items()}
  )
  return config_dicts.experiment_config(values)


def _keys(values):
  return {k for k in SMALL if _has(values.to_dict(), k.split("."))}


def _has(values, parts):
  for part in parts:
    if not isinstance(values, dict) or part not in values:
      return False
    values = values[part]
  return True


def test_equals_a_run_that_fits_its_own(folder):
  config = _config(folder, model_run=str(folder / "first"))
  results = experiment.run(config, folder / "second")
  assert results is not None and "fit_model" not in results["seconds"]
  _, first = playback.restore(_config(folder), folder / "first")
  _, second = playback.restore(config, folder / "second")
  for x, y in zip(
    jax.tree.leaves((first.model, first.learner)),
    jax.tree.leaves((second.model, second.learner)),
    strict=True,
  ):
    np.testing.assert_array_equal(x, y)


def test_the_other_run_is_needed_once(folder):
  """A run that has taken the model over holds a copy of it."""
  config = _config(folder, model_run=str(folder / "first"), seed=0)
  experiment.run(config, folder / "third")
  (folder / "first").rename(folder / "elsewhere")
  try:
    assert experiment.run(config, folder / "third") is not None
  finally:
    (folder / "elsewhere").rename(folder / "first")


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"seed": 1}, "has seed 0, this run 1"),
    ({"model__hidden_size": 16}, "has model"),
    ({"fit__updates": 6}, "has fit"),
    ({"preset": "macql"}, "model is None"),
    ({"model_run": "nowhere"}, "is no run folder"),
  ],
)
def test_another_model_is_refused(folder, changes, message):
  changes = {"model_run": str(folder / "first"), **changes}
  config = _config(folder, **changes)
  with pytest.raises(ValueError, match=f"(?s)nowhere.*{message}|model_run.*{message}"):
    experiment.run(config, folder / "refused")
  assert not (folder / "refused").exists()
