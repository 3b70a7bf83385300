"""Shipped policies: what the index promises, and who plays which quality."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.behaviours import library, policy, qualities, recipes
from logo_jax.envs import base

_PAPER = {
  "smax/2s3z",
  "smax/3s_vs_5z",
  "smax/5m_vs_6m",
  "smax/6h_vs_8z",
  "smax/3s5z_vs_3s6z",
  "mamujoco/hopper-3x1",
  "mamujoco/ant-2x4",
  "mamujoco/halfcheetah-6x1",
}


@pytest.fixture(scope="module")
def index():
  return library.index("smax/2s3z")


def _made_up(*levels: tuple[float, float], later: int = 0) -> library.Index:
  """Snapshots by win rate and mean return; random play is like the first.

  The last `later` of them are of a second training.
  """
  first = len(levels) - later
  snapshots = tuple(
    library.Snapshot(f"suite/toy/{k}", k >= first, 1000 * k, 512, *level, 0.0, 0.0)
    for k, level in enumerate(levels)
  )
  mode = policy.Mode(True, 0.05)
  return library.Index("suite/toy", levels[0][1], (0, 1), mode, {}, {}, snapshots)


def test_every_shipped_environment_has_policies_that_fit_it():
  assert set(library.environments()) >= _PAPER
  for environment in library.environments():
    index = library.index(environment)
    spec = base.make(environment).spec
    assert spec.name == index.environment == environment
    params = [library.load(snapshot.name) for snapshot in index.snapshots]
    assert index.params_hash == library.params_hash(params)
    assert index.recipe == json.loads(
      json.dumps(dataclasses.asdict(recipes.recipe(environment)))
    )
    for snapshot in index.snapshots:
      action = jax.eval_shape(
        lambda params, obs, legal, spec=spec: policy.choose(
          policy.outputs(params, obs, spec),
          legal,
          spec.action_kind,
          policy.UNIFORM,
          jax.random.key(0),
        ),
        library.load(snapshot.name),
        jax.ShapeDtypeStruct((spec.num_agents, spec.obs_dim), jnp.float32),
        jax.ShapeDtypeStruct((spec.num_agents, spec.action_dim), jnp.bool_),
      )
      discrete = spec.action_kind == "discrete"
      assert action.shape == (spec.num_agents, spec.action_dim)[: 1 if discrete else 2]


def test_files_are_small_plain_arrays():
  files = list(library.PARAMS_FOLDER.glob("*/*/*.npz"))
  assert sum(path.stat().st_size for path in files) <= 20_000_000
  for path in files:
    with np.load(path, allow_pickle=False) as file:
      assert all(file[name].dtype == np.float32 for name in file.files)
      assert all(np.isfinite(file[name]).all() for name in file.files)


def test_index_tells_of_a_range_of_levels(index):
  for seed in index.seeds:
    steps = [snapshot.steps for snapshot in index.snapshots if snapshot.seed == seed]
    assert steps == sorted(set(steps))
    assert steps[0] == 0
  assert index.test_mode == policy.Mode(greedy=True, epsilon=0.05)
  first = index.snapshots[0]
  assert first.sampled_return_mean == pytest.approx(index.random_return, abs=0.1)
  levels = qualities.levels(index)
  mine = sorted(levels[x.name] for x in index.snapshots if x.seed == index.seeds[0])
  assert max(np.diff(mine)) < 0.3  # no wide gap between neighbours


@pytest.mark.parametrize("environment", sorted(_PAPER))
def test_expert_is_better_than_medium_and_medium_than_random(environment):
  index = library.index(environment)
  expert, medium = qualities.expert(index), qualities.medium(index)
  assert expert.return_mean > medium.return_mean > index.random_return
  assert medium.steps < expert.steps
  assert 0.35 < qualities.levels(index)[medium.name] < 0.65
  assert len(index.seeds) == 2
  for seed in index.seeds:
    assert len(qualities.up_to_medium(index, seed)) > 1


def test_level_is_the_share_of_the_experts_wins():
  # Half of 80% is 40%, nearest to it is snapshot 2; returns would say snapshot 3.
  index = _made_up((0.0, 0.0), (0.1, 4.0), (0.35, 4.5), (0.6, 5.0), (0.8, 10.0))
  assert list(qualities.levels(index).values()) == pytest.approx(
    [0, 0.125, 0.4375, 0.75, 1]
  )
  assert qualities.medium(index).name == "suite/toy/2"


def test_level_is_the_return_where_wins_are_rare():
  # Half of the way from -2 to 10 is 4; snapshots after the expert do not count.
  index = _made_up((0.0, -2.0), (0.02, 3.0), (0.01, 7.0), (0.09, 10.0), (0.05, 4.0))
  assert qualities.levels(index)["suite/toy/2"] == pytest.approx(9 / 12)
  assert qualities.medium(index).name == "suite/toy/1"


def test_qualities_of_a_made_up_index():
  # Half of the way from 0 to 10 is 5; nearest to it are snapshots 2 and, of the second
  # training, 6, which comes before a better one.
  returns = (0.0, 2.0, 5.5, 10.0, 9.0, 1.0, 4.0, 7.0)
  index = _made_up(*((0, x) for x in returns), later=3)
  behaviours = {name: qualities.behaviour(name, index) for name in qualities.QUALITIES}
  toy = [f"suite/toy/{k}" for k in range(8)]
  sampled, test = policy.Mode(False, 0.0), policy.Mode(True, 0.05)
  assert behaviours == {
    "medium-replay": qualities.Behaviour((*toy[:3], toy[5], toy[6]), sampled),
    "medium": qualities.Behaviour((toy[2],), test),
    "mixed": qualities.Behaviour((toy[2], toy[3]), test),
    "expert": qualities.Behaviour((toy[3],), test),
    "random": qualities.Behaviour((toy[0],), policy.Mode(False, 1.0)),
  }


def test_unknown_names_are_refused(index):
  with pytest.raises(ValueError, match="'good' is not one of: medium-replay, medium"):
    qualities.behaviour("good", index)
  with pytest.raises(ValueError, match="'smax/9z' has no behaviour policies; .*2s3z"):
    library.index("smax/9z")
  with pytest.raises(ValueError, match="'smax/2s3z/99' is not one of: smax/2s3z/0, "):
    library.load("smax/2s3z/99")
  with pytest.raises(ValueError, match="no behaviour policies"):
    library.load("smax/2s3z/../2s3z/0")


def test_save_and_load_are_exact(tmp_path):
  spec = dataclasses.replace(base.make("smax/3m").spec, name="suite/saved")
  params = [policy.init(spec, (8,), jax.random.key(seed)) for seed in range(2)]
  names = ("suite/saved/0", "suite/saved/1")
  snapshots = tuple(
    library.Snapshot(n, 7, k, 1, 0.5, 1.5, 0.25, 1.25) for k, n in enumerate(names)
  )
  mode, versions = policy.Mode(True, 0.05), {"jax": "0"}
  index = library.Index(
    *("suite/saved", 0.2, (7,), mode), versions, {"gamma": 1}, snapshots
  )
  folder = library.save(tmp_path, index, params[:1])
  assert folder == tmp_path / "suite" / "saved"
  (folder / "9.npz").write_bytes(b"left over")
  library.save(tmp_path, index, params)
  files = sorted(path.name for path in folder.iterdir())
  assert files == ["0.npz", "1.npz", "index.json"]
  assert library.environments(tmp_path) == ("suite/saved",)
  stored = library.index("suite/saved", tmp_path)
  assert dataclasses.replace(stored, params_hash="") == index
  assert stored.params_hash == library.params_hash(params) != library.params_hash([])
  json.loads((folder / "index.json").read_text())
  for name, expected in zip(names, params, strict=True):
    loaded = library.load(name, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, loaded, expected)


def test_only_legal_actions_are_sampled():
  legal = jnp.array([[True, False, False], [False, True, True]])
  params = policy.FlatParams([(jnp.ones((6, 3)), jnp.array([0.0, 9.0, 0.0]))])
  scores = policy.outputs(params, jnp.ones((2, 4)), base.make("smax/3m").spec)
  for epsilon in (0.0, 0.5, 1.0):
    keys = jax.random.split(jax.random.key(0), 200)
    action = np.stack(
      [
        policy.choose(scores, legal, "discrete", policy.Mode(False, epsilon), key)
        for key in keys
      ]
    )
    assert action.dtype == np.int32
    assert set(action[:, 0]) == {0}
    assert set(action[:, 1]) <= {1, 2}


def test_densities_by_hand():
  discrete = policy.head("discrete")
  scores = jnp.log(jnp.array([[1.0, 3.0, 4.0]]))
  legal = jnp.array([[True, True, False]])  # so that 1/4 and 3/4 remain
  log_prob = discrete.log_prob(scores, legal, jnp.array([1]))
  np.testing.assert_allclose(log_prob, np.log([0.75]), rtol=1e-5)
  entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
  np.testing.assert_allclose(discrete.entropy(scores, legal), [entropy], rtol=1e-5)
  normal = policy.head("continuous")
  spread = float(np.log(np.expm1(2.0 - 0.01)))  # a deviation of 2
  scores = jnp.array([[1.0, -1.0, spread, spread]])
  legal = jnp.ones((1, 2), bool)
  # (3 - 1) / 2 = 1 and (-1 + 1) / 2 = 0: -1/2 - 2 log 2, up to log(2 pi).
  log_prob = normal.log_prob(scores, legal, jnp.array([[3.0, -1.0]]))
  np.testing.assert_allclose(log_prob, [-0.5 - 2 * np.log(2)], rtol=1e-5)
  entropy = np.log(2 * np.pi * np.e) + 2 * np.log(2)
  np.testing.assert_allclose(normal.entropy(scores, legal), [entropy], rtol=1e-5)


def test_continuous_actions_stay_in_the_box():
  scores = jnp.zeros((2, 6)).at[:, 3:].set(3.0)
  legal = jnp.ones((2, 3), bool)
  keys = jax.random.split(jax.random.key(0), 300)
  for epsilon in (0.0, 1.0):
    action = np.stack(
      [
        policy.choose(scores, legal, "continuous", policy.Mode(False, epsilon), key)
        for key in keys
      ]
    )
    assert action.shape == (300, 2, 3)
    assert action.dtype == np.float32
    assert 0.9 < np.abs(action).max() <= 1
  assert action.mean() == pytest.approx(0, abs=0.05)  # uniform
  assert action.std() == pytest.approx(3**-0.5, abs=0.03)


def test_scaling_is_folded_into_the_network():
  spec = dataclasses.replace(base.make("smax/3m").spec, obs_dim=4)
  params = policy.init(spec, (8,), jax.random.key(0))
  mean, std = jnp.array([1.0, 2.0, -3.0, 0.0]), jnp.array([0.5, 2.0, 10.0, 1.0])
  obs = jax.random.normal(jax.random.key(1), (5, spec.num_agents, 4)) * 4
  folded = policy.outputs(policy.fold_scaling(params, mean, std), obs, spec)
  expected = policy.outputs(params, (obs - mean) / std, spec)
  np.testing.assert_allclose(folded, expected, atol=1e-5)


@pytest.mark.parametrize("greedy", [True, False])
def test_epsilon_is_the_share_of_uniform_draws(greedy):
  legal = jnp.array([[True, True, True, True, False]])
  # Draws take action 0 in 2 of 3 cases, 1 in the third; the illegal one is likeliest.
  scores = jnp.log(jnp.array([[2.0, 1.0, 1e-9, 1e-9, 9.0]]))
  mode = policy.Mode(greedy, 0.4)
  keys = jax.random.split(jax.random.key(0), 4000)
  action = jax.vmap(lambda key: policy.choose(scores, legal, "discrete", mode, key))(
    keys
  )
  shares = np.bincount(np.asarray(action)[:, 0], minlength=5) / 4000
  likely = np.array([1, 0]) if greedy else np.array([2 / 3, 1 / 3])
  expected = [*(0.6 * likely + 0.1), 0.1, 0.1, 0]
  np.testing.assert_allclose(shares, expected, atol=0.03)


def test_the_mode_of_a_continuous_policy_is_its_mean():
  scores = jnp.array([[0.5, -1.0, 3.0, 3.0]])
  mode = policy.Mode(True, 0.0)
  action = policy.choose(
    scores, jnp.ones((1, 2), bool), "continuous", mode, jax.random.key(0)
  )
  np.testing.assert_allclose(action, np.tanh([[0.5, -1.0]]), rtol=1e-6)
  assert policy.test_mode("continuous") == policy.SAMPLED
