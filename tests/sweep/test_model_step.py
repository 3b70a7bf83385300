"""The comparison of what imagined steps cost, on a toy and with tiny networks."""

import json
import math
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from logo_jax.io import files
from logo_jax.sweep import model_step as bench
from tests import skirmish

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"
NAMES = ["logo", *["direct", "ensemble of 2"] * 2]


@pytest.fixture(scope="module")
def loaded():
  return skirmish.load(60)


@pytest.fixture(scope="module")
def inputs(loaded):
  return bench.draw(loaded, trajectories=3, horizon=2, batch_size=4)


@pytest.mark.parametrize(
  "network", ["mlp", pytest.param("entity", marks=pytest.mark.slow)]
)
def test_all_models_say_the_same_of_every_step(loaded, inputs, network):
  said, trained = set(), set()
  chosen = bench.subjects(loaded, network, 16, [2])
  assert [subject.name for subject in chosen] == NAMES
  if network == "mlp":
    chosen += bench.others(loaded, ["mazero_macql"])
  for subject in chosen:
    program = bench.Programs(subject.model, subject.uncertainty, inputs)
    seed = np.int32(0)
    starts, actions, batch = inputs
    out = jax.eval_shape(program.rollout, program.params, starts, actions, seed)
    said.add(str(out))
    (loss, _), grads = jax.eval_shape(program.train, program.params, batch, seed)
    trained.add(loss.shape)
    assert jax.tree.structure(grads) == jax.tree.structure(program.params[0])
  assert len(said) == 1 and trained == {()}
  assert (out.obs.shape, out.state.shape) == ((2, 3, 2, 14), (2, 3, 12))
  assert out.legal.shape == (2, 3, 2, 4)
  assert out.reward.shape == out.discount.shape == out.score.shape == (2, 3)


@pytest.mark.parametrize("network", ["mlp", "entity"])
def test_a_member_matches_in_parameters(loaded, network):
  logo, *others = bench.subjects(loaded, network, 64, [2])
  wanted = bench.num_parameters(logo.model)
  same, matched = (o for o in others if o.name == "direct")
  assert same.hidden_size == 64 and bench.num_parameters(same.model) < wanted
  assert abs(bench.num_parameters(matched.model) / wanted - 1) < 0.1
  two = [bench.num_parameters(o.model) for o in others if o.name == "ensemble of 2"]
  assert two[0] == 2 * bench.num_parameters(same.model)
  assert two[1] == 2 * bench.num_parameters(matched.model)


def test_the_nearest_width_is_found():
  assert bench.matched_width(lambda width: width**2, 101, 1) == 10
  assert bench.matched_width(lambda width: width**2, 120, 1) == 11
  assert bench.matched_width(lambda width: width**2, 300, 8) == 16


@pytest.fixture(scope="module")
def chosen(loaded):
  return bench.subjects(loaded, "mlp", 8, [3])[:3]


@pytest.mark.slow
def test_scores_are_the_models_own(chosen, inputs):
  for subject in chosen:
    program = bench.Programs(subject.model, subject.uncertainty, inputs)
    out = program.calls()["batched"]()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(out))
    assert (np.asarray(out.score) > 0).all() == (subject.name != "direct")


@pytest.mark.slow
def test_rows_of_a_comparison(chosen, inputs):
  logo, direct, ensemble = rows = bench.compare(chosen, inputs, repeats=2)
  # All members are computed: their products are three times those of one of them.
  assert ensemble["matmul_multiply_adds"] == 3 * direct["matmul_multiply_adds"]
  assert ensemble["parameters_read_by_a_step"] == ensemble["parameters"]
  assert logo["parameters_read_by_a_step"] < logo["parameters"]  # E_d is not used
  for row in rows:
    # XLA counts element-wise operations besides.
    assert 1 <= row["multiply_adds"] / row["matmul_multiply_adds"] < 3
    for measure in bench.MEASURES:
      spread = row[measure]
      low, high = spread["quartiles"]
      assert 0 < spread["min"] <= low <= spread["median"] <= high
    assert bench.line(row)["model"] == row["name"]
  assert logo["sequential"]["to_logo"]["median"] == 1
  assert math.isfinite(json.loads(json.dumps(files.plain(rows)))[2]["parameters"])


def test_calls_come_by_turns():
  seen = []
  seconds = bench.by_turns(
    {name: (lambda name=name: seen.append(name)) for name in "abc"}, repeats=2
  )
  assert "".join(seen) == "aabbcc" + "abc" + "bca"
  assert all(x.shape == (2,) for x in seconds.values())


def test_trajectories_follow_their_episode(loaded, inputs):
  first = np.asarray(inputs.starts.action)
  np.testing.assert_array_equal(inputs.actions[:, 0], first)
  with pytest.raises(ValueError, match="no held-out episode has 9 steps"):
    bench.draw(loaded, trajectories=3, horizon=9, batch_size=4)


def test_who_has_no_model_is_not_timed(loaded):
  with pytest.raises(ValueError, match="others: 'macql' has no world model"):
    bench.others(loaded, ["macql"])


def test_bad_flags_are_refused_in_one_line():
  command = [sys.executable, str(FOLDER / "model_step.py"), "--networks=mlp,gru"]
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 1
  assert done.stderr == "error: networks: allowed are mlp, entity; got 'gru'\n"
