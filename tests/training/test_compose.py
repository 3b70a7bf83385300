import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import config as config_lib
from logo_jax.configs import presets, registry
from logo_jax.configs.config import FitConfig
from logo_jax.configs.registry import component
from logo_jax.data.dataset import load
from logo_jax.ops.standardise import moments
from logo_jax.training import compose
from logo_jax.types import EnvSpec, Statistics, Transition
from tests import toys
from tests.training import systems

HOPPER = EnvSpec("mamujoco/hopper-3x1", 3, 9, 11, "continuous", 1, 1_000, (8, 9, 8))
KNOWN = dataclasses.replace(
  presets.get("logo_macql"),
  learner=component("learner", "bc", hidden_size=8),
  model=component("model", "logo", hidden_size=8),
  termination="known",
)


@pytest.fixture(scope="module")
def loaded():
  return load(toys.random_play(toys.corridor(), 30))


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_composes_and_survives_its_dict_form(loaded, name):
  config = presets.get(name)
  assert config_lib.from_dict(config_lib.to_dict(config)) == config
  compose.check_budget(config)
  if systems.reads_entities(config) or name == "simulator_mappo":
    with pytest.raises(ValueError, match="model.n.*: '.*' needs an environment"):
      compose.compose(config, loaded.spec, loaded.statistics)
    return
  system = compose.compose(config, loaded.spec, loaded.statistics)
  assert (system.imagination is None) == (config.model is None)
  assert system.learner.eats == registry.eats(config.learner.name)


def test_too_few_views_are_refused(loaded, monkeypatch):
  module = registry.module("model", "logo")
  make = module.make
  monkeypatch.setattr(module, "make", lambda *args: make(*args)._replace(num_views=1))
  with pytest.raises(ValueError, match="'path_discrepancy' needs .* at least 2 views"):
    compose.compose(presets.get("logo_macql"), loaded.spec, loaded.statistics)


def test_known_terminations_are_the_rule_on_predicted_states():
  rng = np.random.default_rng(0)
  state = rng.uniform(-0.3, 0.3, (64, 11)).astype(np.float32)
  state[:, 0] += 0.9
  action, obs = rng.uniform(-1, 1, (64, 3, 1)), np.zeros((64, 3, 9))
  flat = moments(np.zeros(1))._replace(mean=jnp.float32(0))
  statistics = Statistics(moments(obs[:, 0]), moments(state), flat, (0.0, 0.0))
  t = Transition(*map(jnp.float32, (obs, state, action, action)), *[jnp.zeros(64)] * 5)

  def predict(config):
    system = compose.compose(config, HOPPER, statistics)
    assert system.imagination is not None
    model, key = system.imagination.model, jax.random.key(1)
    params = jax.jit(model.init)(jax.random.key(0))
    return jax.jit(model.step)(params, model.start(params, t, key), t.action, key)[1]

  known = predict(dataclasses.replace(KNOWN, termination=None))  # the default
  learned = predict(dataclasses.replace(KNOWN, termination="learned"))
  stands = (known.state[:, 0] > 0.7) & (jnp.abs(known.state[:, 1]) < 0.2)
  np.testing.assert_array_equal(known.discount, stands.astype(jnp.float32))
  assert known.discount.dtype == learned.discount.dtype
  assert 10 < stands.sum() < 54 and not np.array_equal(learned.discount, stands)
  np.testing.assert_array_equal(known.state, learned.state)


@pytest.mark.parametrize(
  ("preset", "spec", "expected"),
  [
    ("logo_macql", HOPPER, ("known", 1.0, 1_000)),
    ("logo_macql", toys.corridor().spec, ("learned", 10.0, 1_000)),
    ("macql", toys.corridor().spec, (None, 10.0, 1_000)),  # nothing is imagined
    ("logo_macql", dataclasses.replace(HOPPER, state_dim=12), ("learned", 1.0, 1_000)),
    ("sumo", HOPPER, ("learned", 1.0, 1_000)),  # its models predict no states
  ],
)
def test_what_is_none_by_default_is_resolved(preset, spec, expected):
  config = presets.get(preset)
  obs, state = (moments(np.zeros((2, n))) for n in (spec.obs_dim, spec.state_dim))
  statistics = Statistics(obs, state, moments(np.zeros(2)), (0.0, 2.0))
  config = compose.resolved(config, compose.compose(config, spec, statistics))
  learner = config.learner.config
  assert (config.termination, learner.reward_scale, config.imagine_after) == expected
  assert config_lib.from_dict(config_lib.to_dict(config)) == config
  again = compose.resolved(config, compose.compose(config, spec, statistics))
  assert again == config
  short = dataclasses.replace(presets.get(preset), total_updates=500)
  assert compose.imagine_after(short) == 100


@pytest.mark.parametrize(
  ("config", "spec", "message"),
  [
    (KNOWN, toys.targets().spec, "'toy/targets' does not, allowed is 'learned'"),
    (
      KNOWN,
      dataclasses.replace(HOPPER, name="mamujoco/walker2d-2x3-full"),
      "'mamujoco/walker2d-2x3-full' does not, allowed is 'learned'",
    ),
    (
      KNOWN,
      dataclasses.replace(HOPPER, state_dim=12),
      "does not fit the data: states of mamujoco/hopper-3x1 have 11 features, not 12",
    ),
    (
      dataclasses.replace(KNOWN, model=None, uncertainty=None, weighting=None),
      HOPPER,
      "needs a model, but model is None",
    ),
  ],
)
def test_rules_of_termination_that_are_not_there_are_refused(config, spec, message):
  with pytest.raises(ValueError, match=f"termination: 'known' .*{message}"):
    compose.check_components(config, spec)


def _local(monkeypatch):
  """LOGO's model, as if it predicted observations alone."""
  module = registry.module("model", "logo")
  make = module.make
  monkeypatch.setattr(
    module, "make", lambda *args: make(*args)._replace(predicts_state=False)
  )


LOCAL = dataclasses.replace(
  KNOWN,
  learner=component("learner", "omar", hidden_size=8, value_input="obs"),
  termination="learned",
)


@pytest.mark.parametrize(
  ("change", "field"),
  [
    ({"learner": component("learner", "macql")}, "learner.name: 'macql'"),
    ({"learner": component("learner", "omar")}, "learner.name: 'omar'"),
    (
      {"uncertainty": component("uncertainty", "knn_search", scope="global")},
      "uncertainty.name: 'knn_search'",
    ),
  ],
)
def test_states_that_are_not_predicted_are_not_read(loaded, monkeypatch, change, field):
  config = dataclasses.replace(LOCAL, **change)
  compose.compose(config, loaded.spec, loaded.statistics)
  _local(monkeypatch)
  compose.compose(LOCAL, loaded.spec, loaded.statistics)
  with pytest.raises(ValueError, match=f"{field} reads states, but model.name 'logo'"):
    compose.compose(config, loaded.spec, loaded.statistics)


def test_rules_of_termination_need_predicted_states(monkeypatch):
  _local(monkeypatch)
  with pytest.raises(ValueError, match="termination: 'known' reads states, but model"):
    compose.check_components(KNOWN, HOPPER)


@pytest.mark.parametrize(
  ("weighting", "loss"),
  # A halt takes kappa, and its reward is the least one, -0.2.
  [("uniform", 0.0), ("penalty", np.inf), ("halt", 3.2)],
)
def test_learners_allow_for_what_a_weighting_takes(
  loaded, monkeypatch, weighting, loss
):
  """Or targets clipped to the data's range of returns would undo a penalty."""
  seen = []
  module = registry.module("learner", "bc")
  make = module.make
  monkeypatch.setattr(
    module,
    "make",
    lambda config, context: seen.append(context) or make(config, context),
  )
  fields = {"kappa": 3.0} if weighting == "halt" else {}
  config = dataclasses.replace(
    KNOWN,
    termination="learned",
    weighting=component("weighting", weighting, **fields),
  )
  compose.compose(config, loaded.spec, loaded.statistics)
  np.testing.assert_allclose(seen[0].return_loss, loss)


def test_half_a_model_is_refused(loaded):
  no_weighting = dataclasses.replace(presets.get("logo_macql"), weighting=None)
  with pytest.raises(ValueError, match="weighting: a model needs one of confidence"):
    compose.compose(no_weighting, loaded.spec, loaded.statistics)
  no_model = dataclasses.replace(presets.get("logo_macql"), model=None)
  with pytest.raises(ValueError, match="uncertainty.name: 'path_discrepancy' needs"):
    compose.compose(no_model, loaded.spec, loaded.statistics)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"horizon": 0}, "horizon: must be at least 1, got 0"),
    ({"total_updates": 300}, "total_updates: must be a multiple of collect_interval"),
    ({"real_share": 0.0}, "real_share: must be above 0 and at most 1, got 0.0"),
    ({"batch_size": 129, "data_parallel": 2}, "batch_size: must be a multiple of data"),
    ({"fit": FitConfig(unroll_updates=500)}, "fit.unroll: must be at least 2 where"),
    ({"fit": FitConfig(unroll=4, unroll_updates=600)}, "fit.unroll_updates: must be a"),
    ({"fit": FitConfig(unroll=3)}, "fit.batch_size: must be a multiple of fit.unroll"),
  ],
)
def test_budgets_that_cannot_work(change, message):
  with pytest.raises(ValueError, match=message):
    compose.check_budget(dataclasses.replace(presets.get("logo_macql"), **change))


def test_a_share_without_any_real_row_is_refused(loaded):
  config = dataclasses.replace(presets.get("logo_macql"), real_share=0.003)
  with pytest.raises(ValueError, match="real_share: 0.003 leaves a device no real"):
    compose.check_components(config, loaded.spec)


def test_batches_larger_than_the_dataset():
  with pytest.raises(ValueError, match="batch_size: 128 is larger than the dataset"):
    compose.check_batch_sizes(presets.get("logo_macql"), 100)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"foo": 1}, "foo: unknown key; allowed are actor, batch_size"),
    ({"learner": {"name": "macql", "foo": 1}}, "learner.foo: unknown key of 'macql'"),
    ({"learner": {"name": "dqn"}}, "learner.name: must be one of bc, .*; got 'dqn'"),
    ({"fit": {"updates": 1.5}}, "fit.updates: must be of type int; got 1.5"),
    ({"mix": "third"}, "mix: must be one of 'half', 'bernoulli'; got 'third'"),
    ({"termination": "rule"}, "termination: must be one of 'learned', 'known'; got 'r"),
    ({"batch_size": True}, "batch_size: must be of type int; got True"),
  ],
)
def test_unknown_keys_and_values_are_refused_by_name(change, message):
  values = config_lib.to_dict(presets.get("macql")) | change
  with pytest.raises(ValueError, match=message):
    config_lib.from_dict(values)


def test_whole_numbers_do_for_floats():
  values = config_lib.to_dict(presets.get("macql"))
  values["learner"]["cql_weight"] = 5
  assert config_lib.from_dict(values).learner.config.cql_weight == 5.0


def test_components_take_their_defaults_from_their_module():
  assert component("learner", "bc").config == registry.module("learner", "bc").Config()


@pytest.mark.parametrize(
  ("kind", "name", "field", "value"),
  [
    ("learner", "macql", "num_samples", 0),
    ("learner", "macql", "learning_rate", -1.0),
    ("learner", "macql", "target_rate", 7.0),
    ("learner", "macql", "reward_scale", 0.0),
    ("learner", "bc", "hidden_size", 0),
    ("model", "logo", "hidden_size", -3),
    ("model", "logo", "termination_class_weight", 0.0),
    ("uncertainty", "path_discrepancy", "quantile", 95.0),
    ("weighting", "confidence", "temperature", 0.0),
  ],
)
def test_numbers_out_of_range_are_refused(loaded, kind, name, field, value):
  changed = {kind: component(kind, name, **{field: value})}
  config = dataclasses.replace(presets.get("logo_macql"), **changed)
  with pytest.raises(ValueError, match=f"{kind}.{field}: must be .* got {value}"):
    compose.check_components(config, loaded.spec)
