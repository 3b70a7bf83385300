import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.config import FitConfig
from logo_jax.data.dataset import transitions
from logo_jax.evaluation.model_error import model_errors
from logo_jax.ops.standardise import standardise
from logo_jax.training.fit_model import make_fit
from logo_jax.world_models import logo
from tests import toys

CONTEXT = logo.Config(hidden_size=64)
LITERAL = logo.Config(
  hidden_size=64,
  deduce_input="obs",
  local_action="own",
  deduce_real_weight=0.0,
  reconstruct_weight=1.0,
  variance_exponent=0.0,
)


@pytest.fixture(scope="module")
def loaded():
  return toys.load_corridor(600)


def _fitted(config, loaded, updates=2_000):
  model = logo.make(config, loaded.spec, loaded.statistics)
  fit = make_fit(
    model, FitConfig(updates, batch_size=64, learning_rate=3e-3, interval=updates)
  )
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  state, _ = jax.jit(fit.chunk)(state, loaded.data)
  return model, state.best_params


@pytest.fixture(scope="module")
def context(loaded):
  return _fitted(CONTEXT, loaded)


def test_learns_deterministic_dynamics(loaded, context):
  """The corridor's known optimum: every next step is a function of this one."""
  model, params = context
  errors = model_errors(model, jax.tree.map(lambda x: x[None], params), loaded)
  assert errors["state_rmse"] < 0.1 * errors["state_rmse_persistence"]
  assert errors["obs_rmse"] < 0.1 * errors["obs_rmse_persistence"]
  assert errors["reward_r2"] > 0.95
  assert errors["legal_accuracy"] > 0.99
  assert errors["termination_recall"] > 0.9
  assert errors["termination_false_alarms"] < 0.01
  assert abs(errors["leak"]) < 0.3  # predicted observations are observations
  assert errors["open_loop"]["5"]["state_rmse"] < 0.3


def test_losses_are_those_of_the_equations(loaded, context):
  """Each term again, from the networks' outputs, in numpy."""
  model, params = context
  t = transitions(loaded.data.rows, loaded.data.test[:32])
  total, metrics = model.loss(params, t, jax.random.key(0))
  losses = {k: float(v) for k, v in metrics.items()}
  assert float(total) == pytest.approx(sum(losses.values()), rel=1e-5)
  _, prediction = model.step(
    params, model.start(params, t, jax.random.key(0)), t.action, jax.random.key(0)
  )
  s = loaded.statistics
  z_next = np.asarray(standardise(t.next_state, s.state))
  varies = np.asarray(s.state.varies)
  deduced = np.asarray(prediction.mean[:, 0])
  state_error = ((z_next - deduced) ** 2)[:, varies].mean()  # Eq. 4 without the reward
  assert state_error <= losses["model/deduce_predicted_loss"] + 1e-6
  mean, std = np.asarray(prediction.mean[:, 1]), np.asarray(prediction.std[:, 1])
  nll = 0.5 * (((z_next - mean) / std) ** 2 + 2 * np.log(std))[:, varies].mean()
  # Eq. 6 is the state's likelihood and the reward's, whose bounds are -5 and up.
  assert losses["model/auxiliary_loss"] > nll - 5.0


@pytest.mark.parametrize("gradient", [False, True])
def test_gradient_of_eq_4_into_the_predictive_encoder(loaded, gradient):
  config = dataclasses.replace(CONTEXT, deduce_gradient=gradient)
  model = logo.make(config, loaded.spec, loaded.statistics)
  params = model.init(jax.random.key(0))
  t = transitions(loaded.data.rows, loaded.data.train[:16])

  def eq_4(params):
    return model.loss(params, t, jax.random.key(0))[1]["model/deduce_predicted_loss"]

  grads = jax.grad(eq_4)(params)
  size = sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(grads["predict"]))
  assert (size > 0) == gradient
  assert any(jnp.abs(g).sum() > 0 for g in jax.tree.leaves(grads["deduce"]))


def test_literal_deduces_from_the_observations_alone(loaded):
  model = logo.make(LITERAL, loaded.spec, loaded.statistics)
  params = model.init(jax.random.key(0))
  assert "reward" not in params
  t = transitions(loaded.data.rows, loaded.data.train[:1])
  net = jax.tree.leaves(params["deduce"])
  first = [x for x in net if x.ndim == 2 and x.shape[-1] == 64][0]
  assert first.shape[0] == loaded.spec.num_agents * loaded.spec.obs_dim
  prediction = model.step(
    params, model.start(params, t, jax.random.key(0)), t.action, jax.random.key(0)
  )[1]
  assert prediction.state.shape == t.state.shape


def test_local_models_have_parameters_of_their_own(loaded):
  n = loaded.spec.num_agents
  model = logo.make(CONTEXT, loaded.spec, loaded.statistics)
  shapes = jax.eval_shape(model.init, jax.random.key(0))
  assert all(x.shape[0] == n for x in jax.tree.leaves(shapes["predict"]))
  shared = dataclasses.replace(CONTEXT, share_local=True)
  model = logo.make(shared, loaded.spec, loaded.statistics)
  fewer = jax.eval_shape(model.init, jax.random.key(0))
  sizes = [sum(x.size for x in jax.tree.leaves(p["predict"])) for p in (shapes, fewer)]
  assert sizes[1] < sizes[0]


def test_predictions_stay_in_the_box_and_leave_a_legal_action(loaded):
  model = logo.make(CONTEXT, loaded.spec, loaded.statistics)
  wild = jax.tree.map(lambda x: 50 * x, model.init(jax.random.key(0)))
  t = transitions(loaded.data.rows, loaded.data.train[:64])
  key = jax.random.key(0)
  _, p = jax.jit(model.step)(wild, logo.Latent(t.obs, t.state), t.action, key)
  assert p.state.min() >= 0 and p.state.max() <= 1
  assert p.obs.min() >= 0 and p.obs.max() <= 1
  assert p.legal.any(-1).all()
  assert p.discount.min() >= 0 and p.discount.max() <= 1


def test_continuous_actions_are_refused_by_name(loaded):
  spec = dataclasses.replace(loaded.spec, action_kind="continuous")
  with pytest.raises(ValueError, match="model.name: 'logo'.*'continuous'"):
    logo.make(CONTEXT, spec, loaded.statistics)
