"""What every entry of the registries must do; a new component is tested by its name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax import registry
from logo_jax.data.dataset import load, transitions
from logo_jax.types import Batch
from tests import toys
from tests.learners import problems

ROWS = 24


@pytest.fixture(scope="module")
def loaded():
  return toys.load_corridor(60)


@pytest.fixture(scope="module")
def batch(loaded):
  t = transitions(loaded.data.rows, loaded.data.train[:ROWS])
  return Batch(t, jnp.ones(ROWS), jnp.ones(ROWS, bool), jnp.float32(1))


def _make(kind, name, *args):
  config = registry.module(kind, name).Config
  # The corridor has no layout for networks of entities.
  small = {"hidden_size": 16, "network": "mlp"}
  fields = {k: v for k, v in small.items() if k in config.__dataclass_fields__}
  return registry.make(kind, registry.component(kind, name, **fields), *args)


def _same_shapes(tree, shapes):
  jax.tree.map(
    lambda x, s: _equal((x.shape, x.dtype), (s.shape, s.dtype)), tree, shapes
  )


def _equal(x, y):
  assert x == y


@pytest.mark.parametrize("name", registry.names("model"))
def test_world_models(loaded, batch, name):
  model = _make("model", name, loaded.spec, loaded.statistics)
  key, t = jax.random.key(0), batch.transition
  params = model.init(jax.random.key(1))
  # Shapes of a prediction, for any leading axes.
  latent = jax.eval_shape(model.start, params, t, key)
  new, p = jax.eval_shape(model.step, params, latent, t.action, key)
  _same_shapes(new, latent)
  assert p.mean.shape == p.std.shape == (ROWS, model.num_views, *p.mean.shape[-2:])
  wanted = (t.next_obs, t.next_state, t.reward, t.discount, t.next_legal)
  _same_shapes(p[:5], wanted)
  # Finite gradients, different seeds, permutation of the batch.
  (loss, _), grads = jax.jit(jax.value_and_grad(model.loss, has_aux=True))(
    params, t, batch.weight, key
  )
  assert np.isfinite(loss)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  other = model.init(jax.random.key(2))
  leaves = zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True)
  assert any((x != y).any() for x, y in leaves)
  backwards = jax.tree.map(lambda x: x[::-1], t)
  loss_backwards = model.loss(params, backwards, batch.weight, jax.random.key(0))[0]
  np.testing.assert_allclose(loss, loss_backwards, rtol=1e-4)
  assert all(np.isfinite(v) for v in model.diagnose(params, t).values())


@pytest.mark.parametrize("name", registry.names("uncertainty"))
def test_uncertainties(loaded, batch, name):
  model = _make("model", "logo", loaded.spec, loaded.statistics)
  uncertainty = _make("uncertainty", name, loaded.statistics)
  assert uncertainty.min_views <= model.num_views
  params = model.init(jax.random.key(0))
  t = batch.transition
  bank = t if uncertainty.bank_size else ()
  scorer = uncertainty.init(model, params, t, bank, jax.random.key(1))
  latent = model.start(params, t, jax.random.key(2))
  _, p = model.step(params, latent, t.action, jax.random.key(3))
  score = uncertainty.score(scorer, t, p)
  assert score.shape == (ROWS,) and (score >= 0).all()
  calibrated = uncertainty.calibrate(scorer, score)
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
    ("discrete", False),
    ("continuous", False),
    ("discrete", True),
    pytest.param("continuous", True, marks=pytest.mark.slow),
  ],
)
@pytest.mark.parametrize("name", registry.names("learner"))
def test_learners(loaded, continuous, name, kind, recurrent):
  data = loaded if kind == "discrete" else continuous
  window = 3 if recurrent else 1
  fields = {"hidden_size": 16, "recurrent": recurrent, "window": window}
  chosen = registry.component("learner", name, **fields)
  learner = registry.make("learner", chosen, problems.context(data))
  assert learner.window == window
  batch = problems.draw_batch(data, ROWS, jax.random.key(9), window)
  state = learner.init(jax.random.key(0))
  update = jax.jit(learner.update)
  new, metrics = update(state, batch, jax.random.key(1))
  _same_shapes(new, state)  # so that it can be scanned and donated
  assert all(np.isfinite(v).all() for v in metrics.values())
  assert all(k.startswith("learner/") for k in metrics)
  assert int(new.step) == 1
  again, _ = update(state, batch, jax.random.key(1))
  jax.tree.map(np.testing.assert_array_equal, new.params, again.params)
  t = jax.tree.map(lambda x: x[:, 0] if recurrent else x, batch.transition)
  for greedy in (False, True):
    carry = learner.initial_carry((ROWS,))
    key = jax.random.key(4)
    after, action = learner.act(new.params, carry, t.obs, t.legal, key, greedy=greedy)
    _same_shapes(after, carry)
    assert action.shape == t.action.shape and action.dtype == t.action.dtype
    if kind == "discrete":
      assert np.take_along_axis(np.asarray(t.legal), action[..., None], -1).all()
    else:
      assert (np.abs(action) <= 1).all()
