"""Published hyper-parameters: every entry builds, and a few by their sources."""

import dataclasses

import pytest

from logo_jax.configs import published
from logo_jax.data import source
from logo_jax.training import compose

# Weights as printed in the README of CFCQL's repository.
CFCQL = [
  ("2s3z/medium", 0.1, 0.5),
  ("2s3z/medium-replay", 5.0, 0.1),
  ("2s3z/mixed", 0.5, 0.0),
  ("5m_vs_6m/expert", 50.0, 100.0),
  ("6h_vs_8z/medium", 50.0, 1.0),
]


@pytest.mark.parametrize("name", sorted({n for n, _ in published.names()}))
def test_every_entry_is_a_valid_experiment(name):
  datasets = [d for n, d in published.names() if n == name]
  built = set()
  for dataset in datasets:
    config = published.get(name, dataset)
    assert config.dataset == dataset
    compose.check_budget(config)
    spec = source.spec(dataset)
    assert spec is not None
    if spec.name not in built:  # one quality of each scenario; they build alike
      compose.check_components(config, spec)
      built.add(spec.name)


@pytest.mark.parametrize(("dataset", "weight", "temperature"), CFCQL)
def test_cfcql_on_smac(dataset, weight, temperature):
  config = published.get("cfcql", f"smax/{dataset}")
  learner = config.learner.config
  assert (learner.cql_weight, learner.temperature) == (weight, temperature)
  assert learner.reward_scale is None  # by the unit of the files' returns
  # The behaviour model is learned first, as long as the values, and kept.
  learned = config.total_updates // 2 if temperature else 0
  assert learner.behaviour_pretrain == learner.behaviour_updates == learned
  slow = dataset.startswith("6h_vs_8z")
  assert learner.td_lambda == (0.3 if slow else 0.6)


def test_table_8_of_logo():
  config = published.get("logo_macql", "mamujoco/ant-2x4/mixed")
  assert (config.batch_size, config.horizon, config.total_updates) == (128, 15, 78_000)
  assert config.learner.config.learning_rate == 1e-3
  assert dataclasses.asdict(config.learner.config)["hidden_size"] == 256


def test_what_nobody_published_is_refused():
  with pytest.raises(ValueError, match="no values for 'cfcql' on 'mamujoco/hopper-3x1"):
    published.get("cfcql", "mamujoco/hopper-3x1/medium")
  with pytest.raises(ValueError, match="no values for 'mpc'"):
    published.get("mpc", "smax/2s3z/medium")


def test_alpha_of_halfcheetah_is_beside_a_bellman_error_that_is_not_halved():
  config = published.get("cfcql", "mamujoco/halfcheetah-6x1/expert")
  assert config.learner.config.cql_weight == 1.7 / 2
  config = published.get("omar", "mamujoco/halfcheetah-6x1/expert")
  assert config.learner.config.cql_weight == 5.0  # omar does not halve it either
  assert config.total_updates == 100_000
