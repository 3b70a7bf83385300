"""Shipped policies: what the index promises, and who plays which quality."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.behaviours import library, policy, qualities
from logo_jax.envs import base


@pytest.fixture(scope="module")
def index():
  return library.index("2s3z")


def _made_up(*returns: float) -> library.Index:
  snapshots = tuple(
    library.Snapshot(f"toy/{k}", 1000 * k, 512, 0.0, value)
    for k, value in enumerate(returns)
  )
  return library.Index("suite/toy", returns[0], 0, {}, snapshots)


def test_every_shipped_scenario_has_policies_that_fit_its_environment():
  assert "2s3z" in library.scenarios()
  for scenario in library.scenarios():
    index = library.index(scenario)
    spec = base.make(index.environment).spec
    assert spec.name.endswith(f"/{scenario}")
    for snapshot in index.snapshots:
      scores = jax.eval_shape(
        policy.logits,
        library.load(snapshot.name),
        jax.ShapeDtypeStruct((spec.num_agents, spec.obs_dim), jnp.float32),
        jax.ShapeDtypeStruct((spec.num_agents, spec.action_dim), jnp.bool_),
      )
      assert scores.shape == (spec.num_agents, spec.action_dim)


def test_files_are_small_plain_arrays():
  for path in library.PARAMS_FOLDER.glob("*/*.npz"):
    assert path.stat().st_size <= 300_000
    with np.load(path, allow_pickle=False) as file:
      assert all(file[name].dtype == np.float32 for name in file.files)
      assert all(np.isfinite(file[name]).all() for name in file.files)


def test_index_tells_of_a_range_of_levels(index):
  steps = [snapshot.steps for snapshot in index.snapshots]
  assert steps == sorted(set(steps))
  assert steps[0] == 0
  assert all(snapshot.episodes >= 256 for snapshot in index.snapshots)
  assert index.snapshots[0].return_mean == pytest.approx(index.random_return, abs=0.1)
  returns = sorted(snapshot.return_mean for snapshot in index.snapshots)
  assert max(np.diff(returns)) < 0.6  # no wide gap between neighbours


def test_expert_is_better_than_medium_and_medium_than_random(index):
  expert, medium = qualities.expert(index), qualities.medium(index)
  assert expert.win_rate > 0.9
  assert 0.5 < medium.win_rate < 0.85
  assert expert.return_mean > medium.return_mean + 0.2
  assert medium.return_mean > index.random_return + 0.5
  assert medium.steps < expert.steps


def test_qualities_of_a_made_up_index():
  # 80% of the way from 0 to 10 is 8; nearest to it is 7.5, snapshot 2.
  index = _made_up(0.0, 4.0, 7.5, 10.0, 9.0)
  assert {name: qualities.behaviour(name, index) for name in qualities.QUALITIES} == {
    "medium-replay": qualities.Behaviour(("toy/0", "toy/1", "toy/2"), 0.05),
    "medium": qualities.Behaviour(("toy/2",), 0.0),
    "mixed": qualities.Behaviour(("toy/2", "toy/3"), 0.0),
    "expert": qualities.Behaviour(("toy/3",), 0.0),
  }


def test_unknown_names_are_refused(index):
  with pytest.raises(ValueError, match="'good' is not one of: medium-replay, medium"):
    qualities.behaviour("good", index)
  with pytest.raises(ValueError, match="'9z' has no behaviour policies; .*2s3z"):
    library.index("9z")
  with pytest.raises(ValueError, match="'2s3z/99' is not one of: 2s3z/0, 2s3z/1"):
    library.load("2s3z/99")
  with pytest.raises(ValueError, match="'2s3z/../2s3z/0'|no behaviour policies"):
    library.load("2s3z/../2s3z/0")


def test_save_and_load_are_exact(tmp_path, monkeypatch):
  monkeypatch.setattr(library, "PARAMS_FOLDER", tmp_path)
  spec = dataclasses.replace(base.make("smax/3m").spec, name="suite/saved")
  params = [policy.init(spec, (8,), jax.random.key(seed)) for seed in range(2)]
  snapshots = tuple(library.Snapshot(f"saved/{k}", k, 1, 0.5, 1.5) for k in range(2))
  index = library.Index("suite/saved", 0.2, 7, {"jax": "0"}, snapshots)
  library.save(tmp_path / "saved", index, params)
  (tmp_path / "saved" / "9.npz").write_bytes(b"left over")
  library.save(tmp_path / "saved", index, params)
  files = sorted(path.name for path in (tmp_path / "saved").iterdir())
  assert files == ["0.npz", "1.npz", "index.json"]
  assert library.index("saved") == index
  json.loads((tmp_path / "saved" / "index.json").read_text())
  for k in range(2):
    jax.tree.map(np.testing.assert_array_equal, library.load(f"saved/{k}"), params[k])


def test_only_legal_actions_are_sampled():
  legal = jnp.array([[True, False, False], [False, True, True]])
  params = policy.PolicyParams([(jnp.ones((6, 3)), jnp.array([0.0, 9.0, 0.0]))])
  scores = policy.logits(params, jnp.ones((2, 4)), legal)
  for epsilon in (0.0, 0.5, 1.0):
    keys = jax.random.split(jax.random.key(0), 200)
    sample = jax.vmap(policy.sample, (None, None, None, 0))
    action = np.asarray(sample(scores, legal, epsilon, keys))
    assert action.dtype == np.int32
    assert set(action[:, 0]) == {0}
    assert set(action[:, 1]) <= {1, 2}


def test_epsilon_is_the_share_of_uniform_draws():
  legal = jnp.ones((1, 4), bool)
  scores = jnp.array([[50.0, 0.0, 0.0, 0.0]])  # always action 0
  keys = jax.random.split(jax.random.key(0), 4000)
  action = jax.vmap(policy.sample, (None, None, None, 0))(scores, legal, 0.4, keys)
  assert float((action == 0).mean()) == pytest.approx(0.6 + 0.4 / 4, abs=0.03)
