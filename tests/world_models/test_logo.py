import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs.tokens import Tokens
from logo_jax.configs.config import FitConfig
from logo_jax.data.dataset import transitions
from logo_jax.evaluation.model_error import model_errors
from logo_jax.networks.flat_models import LocalToGlobal, Sizes
from logo_jax.networks.now import Now
from logo_jax.ops.standardise import standardise
from logo_jax.training.fit_model import make_fit
from logo_jax.world_models import logo
from logo_jax.world_models.parts import networks
from tests import toys

CONTEXT = logo.Config(network="mlp", hidden_size=64)
# The readings of the presets of entities.
MIXED = dataclasses.replace(CONTEXT, auxiliary_share=0.5, encode_weight=0.0)
LITERAL = logo.Config(
  network="mlp",
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


def _fitted(config, loaded, updates=1_200):
  model = logo.make(config, loaded.spec, loaded.statistics)
  fit = make_fit(
    model, FitConfig(updates, batch_size=64, learning_rate=3e-3, interval=updates)
  )
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  state, _ = toys.long(fit.chunk)(state, loaded.data)
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


class _Compiled:
  """A model's networks, each of them compiled, not operation by operation."""

  def __init__(self, nets: LocalToGlobal):
    self._nets, self._made = nets, {}

  def __getattr__(self, name):
    if name not in self._made:
      self._made[name] = jax.jit(getattr(self._nets, name))
    return self._made[name]


def _nets(config, loaded) -> _Compiled:
  literal = config.deduce_input == "obs"
  sizes = Sizes(config.hidden_size, "float32", literal, not literal, False, literal)
  exponent = config.variance_exponent
  codecs = networks.codecs("mlp", loaded.spec, loaded.statistics, exponent)
  return _Compiled(LocalToGlobal(sizes, loaded.spec, *codecs))


def _batch(loaded, num):
  return transitions(loaded.data.rows, loaded.data.train[:num]), jnp.ones(num)


def _token(z) -> Tokens:
  """Standardised vectors as the one token of each."""
  return Tokens(z[..., None, :], jnp.ones((*z.shape[:-1], 1)))


def _bounded(raw):
  """Log-variances between -10 and 0.5, softly."""
  softplus = np.logaddexp(0, 0.5 - np.asarray(raw, np.float64))
  return -10 + np.logaddexp(0, 0.5 - softplus + 10)


@pytest.mark.parametrize(
  "config", [CONTEXT, MIXED, LITERAL], ids=["context", "mixed", "literal"]
)
def test_losses_are_those_of_the_equations(loaded, config):
  """Every term again, in numpy, from the outputs of the networks."""
  model = logo.make(config, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  t, ones = _batch(loaded, 32)
  s = loaded.statistics
  obs, state = standardise(t.obs, s.obs), standardise(t.state, s.state)
  action = jax.nn.one_hot(t.action, loaded.spec.action_dim)
  now = Now(_token(obs), _token(state), action, jnp.zeros(32))
  z_obs, z_state = standardise(t.next_obs, s.obs), standardise(t.next_state, s.state)
  z_reward = standardise(t.reward, s.reward)
  literal = config is LITERAL
  nets = _nets(config, loaded)
  beta = config.variance_exponent

  def nll(target, mean, raw):
    log_var = _bounded(raw)
    v = np.exp(log_var)
    return np.mean(v**beta * 0.5 * ((target - mean) ** 2 / v + log_var))

  def deduced(next_obs):
    return state + nets.deduce(params, _token(next_obs), now)[..., 0, :]

  def decoder(next_obs):
    next_state = deduced(next_obs)
    reward = nets.reward(params, _token(next_obs), _token(next_state), now)
    return np.mean((z_state - next_state) ** 2) + np.mean((z_reward - reward) ** 2)

  def cross_entropy(logit, label):
    p = 1 / (1 + np.exp(-np.asarray(logit, np.float64)))
    return -(label * np.log(p) + (1 - label) * np.log(1 - p))

  def split(output):
    return jnp.split(output[..., 0, :], 2, -1)

  change, raw = split(nets.obs(params, (), now))
  mean = obs + change
  aux, aux_raw = split(nets.state(params, (), now))
  ended = np.asarray(t.discount == 0, np.float64)
  share = config.auxiliary_share
  next_state = (1 - share) * deduced(mean) + share * (state + aux)
  logit = nets.termination(params, _token(next_state), now)
  legal = nets.legal(params, _token(mean))
  expected = {
    "predict": nll(z_obs, mean, raw),  # Eq. 2
    "deduce_predicted": decoder(mean),  # Eq. 4
    "auxiliary": nll(z_state, state + aux, aux_raw),  # Eq. 6, of the state
    "legal": cross_entropy(legal, t.next_legal).mean(),
    "termination": ((1 + 4 * ended) * cross_entropy(logit, ended)).mean(),
  }
  if config.encode_weight:
    encoded, encoded_raw = split(nets.encode(params, _token(z_state), z_reward))
    expected["encode"] = nll(z_obs, encoded, encoded_raw)  # Eq. 3
    expected["deduce"] = decoder(encoded)  # Eq. 3
  if share:  # of the state that rollouts read
    reward = nets.reward(params, _token(mean), _token(next_state), now)
    expected["reward"] = np.mean((z_reward - reward) ** 2)
  if literal:
    before, done = nets.reconstruct(params, _token(mean))
    error = np.mean((obs - before) ** 2) + np.mean((action - done) ** 2)
    expected["reconstruct"] = error  # Eq. 2
  else:
    expected["deduce_real"] = decoder(z_obs)
  total, metrics = jax.jit(model.loss)(params, t, ones, jax.random.key(1))
  assert {k[len("model/") : -len("_loss")] for k in metrics} == set(expected)
  for name, value in expected.items():
    got = metrics[f"model/{name}_loss"]
    np.testing.assert_allclose(got, value, rtol=1e-4, err_msg=name)
  np.testing.assert_allclose(total, sum(expected.values()), rtol=1e-4)


@pytest.mark.parametrize("gradient", [False, True])
def test_gradient_of_eq_4_into_the_predictive_encoder(loaded, gradient):
  config = dataclasses.replace(CONTEXT, deduce_gradient=gradient)
  model = logo.make(config, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  t, ones = _batch(loaded, 16)

  def eq_4(params):
    _, metrics = model.loss(params, t, ones, jax.random.key(0))
    return metrics["model/deduce_predicted_loss"]

  grads = jax.jit(jax.grad(eq_4))(params)
  size = sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(grads["predict"]))
  assert (size > 0) == gradient
  assert any(jnp.abs(g).sum() > 0 for g in jax.tree.leaves(grads["deduce"]))


@pytest.mark.parametrize("config", [CONTEXT, LITERAL], ids=["context", "literal"])
def test_what_the_reward_is_deduced_from(loaded, config):
  """From the deduced state with context, from the joint observation without."""
  nets = _nets(config, loaded)
  model = logo.make(config, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  t, _ = _batch(loaded, 16)
  action = jax.nn.one_hot(t.action, loaded.spec.action_dim)
  now = Now(_token(t.obs), _token(t.state), action, jnp.zeros(16))

  def reward(next_obs, next_state):
    return nets.reward(params, _token(next_obs), _token(next_state), now)

  before = reward(t.next_obs, t.next_state)
  by_obs = bool(jnp.any(reward(t.next_obs + 1, t.next_state) != before))
  by_state = bool(jnp.any(reward(t.next_obs, t.next_state + 1) != before))
  assert (by_obs, by_state) == (config is LITERAL, config is CONTEXT)


def test_literal_deduces_from_the_observations_alone(loaded):
  model = logo.make(LITERAL, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  assert "reward" not in params
  t = transitions(loaded.data.rows, loaded.data.train[:1])
  net = jax.tree.leaves(params["deduce"])
  first = [x for x in net if x.ndim == 2 and x.shape[-1] == 64][0]
  assert first.shape[0] == loaded.spec.num_agents * loaded.spec.obs_dim
  latent = jax.eval_shape(model.start, params, t, jax.random.key(0))
  key = jax.random.key(1)
  _, prediction = jax.eval_shape(model.step, params, latent, t.action, key)
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
  wild = jax.tree.map(lambda x: 50 * x, jax.jit(model.init)(jax.random.key(0)))
  t = transitions(loaded.data.rows, loaded.data.train[:64])
  key = jax.random.key(0)
  latent = model.start(wild, t, jax.random.key(1))
  _, p = jax.jit(model.step)(wild, latent, t.action, key)
  assert p.state.min() >= 0 and p.state.max() <= 1
  assert p.obs.min() >= 0 and p.obs.max() <= 1
  assert p.legal.any(-1).all()
  assert p.discount.min() >= 0 and p.discount.max() <= 1


def test_the_state_lies_between_both_paths(loaded):
  """A quarter of the auxiliary path's, in standardised units."""
  config = dataclasses.replace(CONTEXT, auxiliary_share=0.25)
  model = logo.make(config, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  t, _ = _batch(loaded, 16)
  latent = model.start(params, t, jax.random.key(1))
  new, p = jax.jit(model.step)(params, latent, t.action, jax.random.key(2))
  deduced, auxiliary = p.mean[:, 0, 0], p.mean[:, 1, 0]
  assert np.abs(deduced - auxiliary).max() > 0.01
  m = loaded.statistics.state
  wanted = 0.75 * deduced + 0.25 * auxiliary
  wanted = np.clip(wanted, (m.low - m.mean) / m.scale, (m.high - m.mean) / m.scale)
  np.testing.assert_allclose(new.state.values[:, 0], wanted, atol=1e-5)
