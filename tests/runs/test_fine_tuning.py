"""Runs that begin with the learner of another one."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import logo_jax
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.reporting.run_outputs import read_metrics
from logo_jax.runs import experiment, playback
from tests import toys
from tests.deploy import runs

STILL = 1e-30  # a step length at which no weight moves


def _shifted():
  """The same steps in other units, with other rewards: all statistics differ."""
  data = toys.linear_quadratic(20)
  rows = data.rows
  return toys.stored(
    data.spec,
    rows._replace(
      obs=3 * rows.obs + 1, state=3 * rows.state + 1, reward=-5 * rows.reward
    ),
    data.episode_start,
  )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Datasets "first" and "second", and a run on each kind of learner."""
  path = tmp_path_factory.mktemp("tuning")
  runs.write(path / "first", toys.linear_quadratic(20))
  runs.write(path / "second", _shifted())
  runs.write(path / "corridor", toys.random_play(toys.corridor(), 20))
  experiment.run(runs.config(path / "first"), path / "source")
  return path


def _config(folder, dataset="second", **changes):
  changes = {"init_from": str(folder / "source"), **changes}
  return runs.config(folder / dataset, **changes)


def _learner(config, run_dir):
  state = playback.restore(config, run_dir)[1].learner
  return jax.tree.map(np.asarray, state)


def test_begins_as_the_other_run_ends(folder):
  """A learner that does not move plays as its source, on data in other units."""
  config = _config(folder, learner__learning_rate=STILL)
  experiment.run(config, folder / "still")
  obs = np.random.default_rng(0).normal(size=(50, 2, 1))
  for seed_index in range(2):
    source = logo_jax.load_policy(folder / "source", seed_index)
    policy = logo_jax.load_policy(folder / "still", seed_index)
    np.testing.assert_array_equal(policy(obs)[0], source(obs)[0])
  alone = runs.config(folder / "second", learner__learning_rate=STILL)
  experiment.run(alone, folder / "alone")  # anew, it would play otherwise
  other = logo_jax.load_policy(folder / "alone")
  assert np.abs(other(obs)[0] - policy(obs)[0]).max() > 0.01


def test_learns_from_inputs_as_they_were_standardised(folder):
  """By the data's own statistics the same steps in other units would look the same."""
  still = {"learner__learning_rate": STILL}
  experiment.run(_config(folder, "first", **still), folder / "same_units")
  experiment.run(_config(folder, "second", **still), folder / "other_units")
  same, other = (
    read_metrics(folder / name)[0]["learner/bc_loss"]
    for name in ("same_units", "other_units")
  )
  assert abs(same - other) > 0.01


def test_learns_on_from_there(folder):
  experiment.run(_config(folder), folder / "tuned")
  before = _learner(runs.config(folder / "first"), folder / "source")
  after = _learner(_config(folder), folder / "tuned")
  moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), before.params, after.params)
  assert max(jax.tree.leaves(moved)) > 1e-3
  assert (after.step == 4).all()


def test_resuming_does_without_the_source(folder):
  config = _config(folder, total_updates=8)
  whole = folder / "whole"
  experiment.run(config, whole)
  ended = _learner(config, whole)
  cut = folder / "cut"
  shutil.copytree(whole, cut)
  (cut / "results.json").unlink()
  shutil.rmtree(cut / "checkpoints" / "train" / "8")
  with Checkpointer(cut / "checkpoints" / "train", read_only=True) as checkpoints:
    assert checkpoints.latest_step() == 6
  (folder / "source").rename(folder / "elsewhere")
  try:
    assert experiment.run(config, cut) is not None
    logo_jax.load_policy(cut)
  finally:
    (folder / "elsewhere").rename(folder / "source")
  jax.tree.map(np.testing.assert_array_equal, _learner(config, cut), ended)


@pytest.mark.slow
def test_values_go_on_in_their_unit_with_targets(folder):
  """Target networks come along; bounds of values are those of both data."""
  small = {"preset": "macql", "learner__num_samples": 2}
  experiment.run(runs.config(folder / "first", **small), folder / "values")
  changes = small | {"init_from": str(folder / "values")}
  still = {"learner__learning_rate": STILL}
  config = _config(folder, **(changes | still))
  experiment.run(config, folder / "valued")
  there = _learner(runs.config(folder / "first", **small), folder / "values")
  here = _learner(config, folder / "valued")
  jax.tree.map(np.testing.assert_array_equal, here.params, there.params)
  assert jax.tree.leaves(there.target)
  _, known = playback.of_run(folder / "valued")
  _, source = playback.of_run(folder / "values")
  low, high = source.statistics.return_range
  own = known.statistics.return_range
  assert low < 0 <= high < own[1]
  assert known.learner_statistics.return_range == (low, own[1])
  np.testing.assert_array_equal(
    known.learner_statistics.obs.mean, source.statistics.obs.mean
  )
  assert abs(float(known.statistics.obs.mean[0]) - 1) < 0.5


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"preset": "macql"}, "learner.name 'bc', this run 'macql'"),
    ({"num_seeds": 1}, "num_seeds 2, this run 1"),
    ({"learner__hidden_size": 16}, "init_from: .*Dense_0/bias: .*expected"),
    ({"dataset": "corridor"}, "obs_dim 1, but .* has 5"),
    ({"init_from": "nowhere"}, "is no run folder"),
    ({"preset": "mazero"}, "learner.name 'bc', this run 'mazero'"),
  ],
)
def test_what_does_not_fit_is_refused(folder, changes, message):
  with pytest.raises(ValueError, match=message):
    _refused(folder, _config(folder, **changes))


def _refused(folder, config):
  try:
    experiment.run(config, folder / "refused")
  finally:
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
  ("preset", "changes", "message"),
  [
    ("mazero", {}, "learner.clone_updates: must be 0 .*got 2000"),
    ("macql", {"learner__reward_scale": 2.0}, "reward_scale: must be 1.0 .*got 2.0"),
  ],
)
def test_what_would_unlearn_is_refused(folder, tmp_path, preset, changes, message):
  stored = json.loads((folder / "source" / "config.json").read_text())
  stored["learner"] |= {"name": preset, "reward_scale": 1.0}
  (tmp_path / "config.json").write_text(json.dumps(stored))
  config = _config(folder, preset=preset, init_from=str(tmp_path), **changes)
  with pytest.raises(ValueError, match=message):
    _refused(folder, config)


def test_a_run_does_not_begin_with_itself(folder):
  with pytest.raises(ValueError, match="this run's own folder"):
    experiment.check(_config(folder), folder / "source")


def test_a_folder_goes_on_as_it_has_begun(folder):
  config = runs.config(folder / "first")
  with pytest.raises(ValueError, match="init_from: .* differs"):
    experiment.run(
      dataclasses.replace(config, init_from=str(folder / "tuned")), folder / "source"
    )
