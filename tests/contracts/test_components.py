"""What every entry of the registries must do; a new component is tested by its name."""

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import registry
from logo_jax.data.dataset import load, transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.types import Batch, Observed
from tests import skirmish, toys
from tests.learners import problems

ROWS = 24
_OF_THEIR_OWN = ("rssm", "value_equivalent")  # models with tests of their own
_FITTED = [name for name in registry.names("model") if name != "simulator"]


@pytest.fixture(scope="module")
def loaded():
  return toys.load_corridor(60)


@pytest.fixture(scope="module")
def batch(loaded):
  t = transitions(loaded.data.rows, loaded.data.train[:ROWS])
  return Batch(t, jnp.ones(ROWS), jnp.ones(ROWS, bool), jnp.float32(1))


@pytest.fixture(scope="module")
def battle():
  return skirmish.load(40)


def _make(kind, name, *args, **chosen):
  """With small networks; models that have a choice read flat vectors."""
  fields = registry.module(kind, name).Config.__dataclass_fields__
  small = {"hidden_size": 16, "num_members": 2, "network": "mlp"}
  small |= {"num_categoricals": 2, "num_classes": 4, "num_layers": 1, "latent": "mode"}
  small |= chosen
  small = {k: v for k, v in small.items() if k in fields}
  return registry.make(kind, registry.component(kind, name, **small), *args)


def _same_shapes(tree, shapes):
  jax.tree.map(
    lambda x, s: _equal((x.shape, x.dtype), (s.shape, s.dtype)), tree, shapes
  )


def _equal(x, y):
  assert x == y


def _models():
  """Every model with every kind of networks that it has."""
  for name in _FITTED:
    hints = typing.get_type_hints(registry.module("model", name).Config)
    for network in typing.get_args(hints.get("network")) or ("mlp",):
      # Models of entities cost most to compile, and have tests of their own.
      slow = network == "entity" or name in _OF_THEIR_OWN
      yield pytest.param(name, network, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize(("name", "network"), _models())
def test_world_models(request, name, network):
  data = request.getfixturevalue("battle" if network == "entity" else "loaded")
  model = _make("model", name, data.spec, data.statistics, network=network)
  key, t = jax.random.key(0), transitions(data.data.rows, data.data.train[:ROWS])
  params = jax.jit(model.init)(jax.random.key(1))
  # Shapes of a prediction, for any leading axes.
  latent = jax.eval_shape(model.start, params, t, key)
  new, p = jax.eval_shape(model.step, params, latent, t.action, key)
  _same_shapes(new, latent)
  assert p.mean.shape == p.std.shape == (ROWS, model.num_views, *p.mean.shape[-2:])
  wanted = (t.next_obs, t.next_state, t.reward, t.discount, t.next_legal)
  _same_shapes(p[:5], wanted)
  # Finite gradients, different seeds, permutation of the batch.
  run = jax.jit(jax.value_and_grad(model.loss, has_aux=True))
  (loss, metrics), grads = run(params, t, jnp.ones(ROWS), jax.random.key(2))
  assert np.isfinite(loss) and all(k.startswith("model/") for k in metrics)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  other = jax.jit(model.init)(jax.random.key(3))
  leaves = zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True)
  assert any((x != y).any() for x, y in leaves)
  backwards = jax.tree.map(lambda x: x[::-1], t)
  (loss_backwards, _), _ = run(params, backwards, jnp.ones(ROWS), jax.random.key(4))
  np.testing.assert_allclose(loss, loss_backwards, rtol=1e-4)
  # What weighs nothing counts for nothing.
  half = jnp.repeat(jnp.array([2.0, 0.0]), ROWS // 2)
  spoilt = jax.tree.map(lambda x: x.at[ROWS // 2 :].set(x[0]), t)
  one, same = (
    run(params, x, half, jax.random.key(5 + i)) for i, x in enumerate([t, spoilt])
  )
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-4, 1e-5), one, same)
  # Windows, and errors of all members.
  windows, weight = jax.tree.map(lambda x: x.reshape(4, 6, *x.shape[1:]), (t, half))
  for rest in ((t, half), (windows, weight)):
    loss, _ = jax.eval_shape(model.loss, params, *rest, key)
    error = jax.eval_shape(model.validate, params, *rest, key)
    assert loss.shape == () and error.shape == model.error_shape
  diagnosed = jax.jit(model.diagnose)(params, t)
  assert all(np.isfinite(v) for v in diagnosed.values())


@pytest.mark.parametrize("name", registry.names("uncertainty"))
def test_uncertainties(loaded, batch, name):
  model = _make("model", "logo", loaded.spec, loaded.statistics)
  uncertainty = _make("uncertainty", name, loaded.statistics)
  assert uncertainty.min_views <= model.num_views
  params = jax.jit(model.init)(jax.random.key(0))
  t = batch.transition
  bank = t if uncertainty.bank_size else ()

  @jax.jit
  def scored(params, t, bank):
    scorer = uncertainty.init(model, params, t, bank, jax.random.key(1))
    latent = model.start(params, t, jax.random.key(2))
    _, p = model.step(params, latent, t.action, jax.random.key(3))
    score = uncertainty.score(scorer, t, p)
    return score, uncertainty.calibrate(scorer, score)

  score, calibrated = scored(params, t, bank)
  assert score.shape == (ROWS,) and (score >= 0).all()
  assert (calibrated >= 0).all() and np.isfinite(calibrated).all()
  assert uncertainty.accumulate(jnp.zeros(ROWS), score).shape == (ROWS,)


@pytest.mark.parametrize("name", registry.names("weighting"))
def test_weightings(loaded, batch, name):
  weighting = _make("weighting", name, loaded.statistics)
  u = jnp.linspace(0.0, 10.0, ROWS)
  log_weight = weighting.log_weight(u)
  assert np.isfinite(log_weight).all()
  assert (np.diff(log_weight) <= 0).all()  # more uncertain never weighs more
  stored, valid = weighting.on_store(batch.transition, u)
  assert valid.shape == (ROWS,) and valid.dtype == bool
  _same_shapes(stored, batch.transition)
  _same_shapes(weighting.on_sample(batch.transition, u), batch.transition)


@pytest.fixture(scope="module")
def continuous():
  return load(toys.linear_quadratic(60))


@pytest.mark.parametrize(
  ("kind", "recurrent"),
  [
    # What learners do in their own tests.
    pytest.param("discrete", False, marks=pytest.mark.slow),
    ("continuous", False),
    ("discrete", True),
    pytest.param("continuous", True, marks=pytest.mark.slow),
  ],
)
@pytest.mark.parametrize(
  "name", [n for n in registry.names("learner") if n not in ("mappo", "mazero")]
)
def test_learners(loaded, continuous, name, kind, recurrent):
  data = loaded if kind == "discrete" else continuous
  fields = {"recurrent": recurrent, "window": 3 if recurrent else 1}
  _check_learner(data, name, **fields)


@pytest.mark.parametrize(
  "kind", ["continuous", pytest.param("discrete", marks=pytest.mark.slow)]
)
def test_a_learner_of_windows_without_memory(loaded, continuous, kind):
  data = loaded if kind == "discrete" else continuous
  small = {"num_layers": 1, "num_heads": 2, "num_samples": 3}
  _check_learner(data, "mazero", window=3, unroll=2, **small)


def _check_learner(data, name, window, **fields):
  kind = data.spec.action_kind
  chosen = registry.component("learner", name, hidden_size=16, window=window, **fields)
  learner = registry.make("learner", chosen, problems.context(data))
  assert learner.window == window
  batch = problems.draw_batch(data, ROWS, jax.random.key(9), window)
  state = jax.jit(learner.init)(jax.random.key(0))
  update = jax.jit(learner.update)
  new, metrics = update(state, batch, jax.random.key(1))
  _same_shapes(new, state)  # so that it can be scanned and donated
  assert all(np.isfinite(v).all() for v in metrics.values())
  assert all(k.startswith("learner/") for k in metrics)
  assert int(new.step) == 1
  again, _ = update(state, batch, jax.random.key(1))
  jax.tree.map(np.testing.assert_array_equal, new.params, again.params)
  t = jax.tree.map(lambda x: x[:, 0] if window > 1 else x, batch.transition)
  act = jax.jit(learner.actor.act, static_argnames="greedy")
  for greedy in (False, True):
    carry = learner.actor.initial_carry((ROWS,))
    key = jax.random.key(4)
    now = Observed(t.obs, t.state, t.legal)
    after, action = act(new.params, carry, now, key, greedy=greedy)
    _same_shapes(after, carry)
    assert action.shape == t.action.shape and action.dtype == t.action.dtype
    if kind == "discrete":
      assert np.take_along_axis(np.asarray(t.legal), action[..., None], -1).all()
    else:
      assert (np.abs(action) <= 1).all()


@pytest.mark.parametrize(
  "kind",
  # What planners do with discrete actions is in their own tests.
  [pytest.param("discrete", marks=pytest.mark.slow), "continuous"],
)
@pytest.mark.parametrize("name", registry.names("planner"))
def test_planners(loaded, continuous, name, kind):
  data = loaded if kind == "discrete" else continuous
  none = _make("uncertainty", "none", data.statistics)
  model = _make("model", "direct", data.spec, data.statistics)
  imagination = Imagination(model, none, _make("weighting", "uniform", data.statistics))
  learner = _make("learner", "macql", problems.context(data))
  planner = _make("planner", name, imagination, learner)
  t = problems.draw_batch(data, ROWS, jax.random.key(9)).transition
  now = Observed(t.obs, t.state, t.legal)

  before = planner.actor.initial_carry((ROWS,))

  @jax.jit
  def plan():
    params = model.init(jax.random.key(0)), (), learner.init(jax.random.key(1)).params
    planned = planner.plan(params, now, jax.random.key(2))
    played = planner.actor.act(params, before, now, jax.random.key(2), greedy=True)
    return planned, played

  (action, metrics), (carry, played) = plan()
  _same_shapes(action, t.action)
  assert all(k.startswith("plan/") and np.isfinite(v) for k, v in metrics.items())
  _same_shapes(carry, before)
  np.testing.assert_array_equal(played, action)
  assert planner.actor.centralised
  if kind == "discrete":
    assert np.take_along_axis(np.asarray(t.legal), action[..., None], -1).all()
  else:
    assert (np.abs(action) <= 1).all()
