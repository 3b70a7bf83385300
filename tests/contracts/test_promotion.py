"""Components work for who has JAX promote neither dtypes nor ranks in silence.

They are only traced: that is when JAX refuses.
"""

import jax
import jax.numpy as jnp
import pytest

from logo_jax.configs import registry
from logo_jax.data.dataset import load, transitions
from logo_jax.replay import sampling
from tests import skirmish, toys

BATCH, STEPS = 4, 3


@pytest.fixture(autouse=True)
def strict_promotion():
  with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
    yield


@pytest.fixture(scope="module")
def data():
  return {"discrete": skirmish.load(5), "continuous": load(toys.linear_quadratic(30))}


def _windows(loaded):
  """Transitions [BATCH, STEPS] of whatever episodes."""
  t = transitions(loaded.data.rows, loaded.data.train[: BATCH * STEPS])
  return jax.tree.map(lambda x: x.reshape(BATCH, STEPS, *x.shape[1:]), t)


def _models():
  for name in registry.names("model"):
    if name == "simulator":  # it runs other people's games
      continue
    for kind in ("discrete", "continuous"):
      yield name, kind, {}
  yield "ensemble", "discrete", {"scope": "local"}
  literal = {"deduce_input": "obs", "reconstruct_weight": 1.0, "auxiliary_share": 0.5}
  yield "logo", "discrete", literal
  # It has all networks of entities.
  yield "logo", "discrete", {"network": "entity"}


@pytest.mark.parametrize("name,kind,fields", _models())
def test_models(data, name, kind, fields):
  loaded, key = data[kind], jax.random.key(0)
  chosen = registry.component("model", name, hidden_size=8, **fields)
  model = registry.make("model", chosen, loaded.spec, loaded.statistics)
  windows = _windows(loaded)
  weight, t = jnp.ones((BATCH, STEPS)), jax.tree.map(lambda x: x[:, 0], windows)

  def all_of_it(params):
    k_start, k_step, k_loss, k_error = jax.random.split(key, 4)
    latent = model.start(params, t, k_start)
    prediction = model.step(params, latent, t.action, k_step)[1]
    loss = model.loss(params, windows, weight, k_loss)
    error = model.validate(params, windows, weight, k_error)
    return prediction, loss, error, model.diagnose(params, t)

  jax.eval_shape(all_of_it, jax.eval_shape(model.init, jax.random.key(1)))


@pytest.mark.parametrize("name", registry.names("uncertainty"))
def test_uncertainties(data, name):
  loaded, key = data["discrete"], jax.random.key(0)
  fields = registry.module("uncertainty", name).Config.__dataclass_fields__
  few = {"bank_size": 4} if "bank_size" in fields else {}
  chosen = registry.component("uncertainty", name, **few)
  scorer = registry.make("uncertainty", chosen, loaded.statistics)
  logo = registry.component("model", "logo", hidden_size=8)
  model = registry.make("model", logo, loaded.spec, loaded.statistics)
  t = jax.tree.map(lambda x: x[:, 0], _windows(loaded))

  def all_of_it(params):
    scale = scorer.init(model, params, t, t if scorer.bank_size else (), key)
    latent = model.start(params, t, key)
    score = scorer.score(scale, t, model.step(params, latent, t.action, key)[1])
    return scorer.calibrate(scale, scorer.accumulate(score, score))

  jax.eval_shape(all_of_it, jax.eval_shape(model.init, key))


@pytest.mark.parametrize("name", registry.names("weighting"))
def test_weightings_and_draws_by_them(data, name):
  loaded = data["discrete"]
  chosen = registry.component("weighting", name)
  weighting = registry.make("weighting", chosen, loaded.statistics)
  t = _windows(loaded)

  def all_of_it(u):
    log_weight = weighting.log_weight(u).ravel()
    blocks = sampling.block_weights(log_weight)
    drawn = sampling.sample(blocks, 3, jax.random.key(0))
    ess = sampling.effective_sample_size(log_weight)
    return weighting.on_store(t, u), weighting.on_sample(t, u), drawn, ess

  jax.eval_shape(all_of_it, jnp.ones(t.reward.shape))
