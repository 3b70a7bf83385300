"""The world model of continuous actions and padded observations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.config import FitConfig
from logo_jax.data import dataset
from logo_jax.evaluation.model_error import model_errors
from logo_jax.networks.flat_models import LocalToGlobal, Sizes
from logo_jax.networks.now import Now
from logo_jax.ops import gaussian
from logo_jax.ops.standardise import standardise
from logo_jax.training.fit_model import make_fit
from logo_jax.types import EnvSpec, Rows
from logo_jax.world_models import logo
from logo_jax.world_models.parts import networks
from tests import toys

CONTEXT = logo.Config(network="mlp", hidden_size=32)
LITERAL = logo.Config(
  network="mlp",
  hidden_size=32,
  deduce_input="obs",
  local_action="own",
  deduce_real_weight=0.0,
  reconstruct_weight=1.0,
  variance_exponent=0.0,
)
SPEC = EnvSpec("toy/linear", 2, 3, 4, "continuous", 2, 20, obs_sizes=(3, 2))
PUSH = 0.5 * np.eye(4, dtype=np.float32)
DRIFT = np.array(
  [[0.9, 0.3, 0, 0], [-0.3, 0.9, 0, 0], [0, 0, 0.8, 0.4], [0.1, 0, -0.4, 0.8]],
  np.float32,
)


def _linear(num: int = 200) -> dataset.LoadedDataset:
  """x' = D x + (a1, a2) / 2, and what it pays is linear too.

  Agent 1 sees the first three of the four numbers; agent 2 the last two, then padding.
  """
  rng = np.random.default_rng(0)
  x = rng.uniform(-1, 1, (num, 4)).astype(np.float32)
  steps = []
  for step in range(21):
    going = step < 20
    action = rng.uniform(-1, 1, (num, 2, 2)).astype(np.float32) * going
    after = x @ DRIFT.T + action.reshape(num, 4) @ PUSH
    obs = np.stack([x[:, :3], np.pad(x[:, 2:], ((0, 0), (0, 1)))], 1)
    legal, on = np.ones((num, 2, 2), bool), np.ones(num, np.float32)
    steps.append(Rows(obs, x, legal, action, (after - x).sum(-1) * going, on))
    x = after
  rows = jax.tree.map(lambda *y: np.stack(y, 1).reshape(-1, *y[0].shape[1:]), *steps)
  return dataset.load(toys.stored(SPEC, rows, np.arange(0, 21 * num + 1, 21)))


@pytest.fixture(scope="module")
def loaded():
  return _linear()


@pytest.fixture(params=[CONTEXT, LITERAL], ids=["context", "literal"])
def model(loaded, request):
  return logo.make(request.param, loaded.spec, loaded.statistics)


def _batch(loaded, *shape):
  index = loaded.data.train[: np.prod(shape)].reshape(shape)
  return dataset.transitions(loaded.data.rows, index)


@pytest.mark.parametrize("shape", [(24,), (4, 6)])
def test_shapes_of_a_prediction(loaded, model, shape):
  t, params = _batch(loaded, *shape), jax.jit(model.init)(jax.random.key(0))
  assert "legal" not in params
  latent = model.start(params, t, jax.random.key(1))
  new, p = jax.jit(model.step)(params, latent, t.action, jax.random.key(2))
  wanted = (t.next_obs, t.next_state, t.reward, t.discount, t.next_legal)
  for x, y in zip(p[:5], wanted, strict=True):
    assert (x.shape, x.dtype) == (y.shape, y.dtype)
  shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), x) for x in (new, latent)]
  assert shapes[0] == shapes[1]
  assert p.mean.shape == p.std.shape == (*shape, 2, 1, SPEC.state_dim)
  assert p.legal.all()
  assert (p.obs[..., 1, 2] == 0).all()  # exactly: it is padding
  assert (p.obs[..., SPEC.obs_mask] != 0).any(tuple(range(len(shape)))).all()


def test_losses_and_gradients(loaded, model):
  t, params = _batch(loaded, 24), jax.jit(model.init)(jax.random.key(0))
  grad = jax.jit(jax.value_and_grad(model.loss, has_aux=True))
  (loss, metrics), grads = grad(params, t, jnp.ones(24), jax.random.key(1))
  assert np.isfinite(loss) and "model/legal_loss" not in metrics
  for leaf in jax.tree.leaves(grads):
    assert np.isfinite(leaf).all() and (leaf != 0).any()
  assert all(np.isfinite(v) for v in jax.jit(model.diagnose)(params, t).values())


def test_padding_changes_nothing(loaded, model):
  t, params = _batch(loaded, 24), jax.jit(model.init)(jax.random.key(0))
  fill = jnp.where(SPEC.obs_mask, 0.0, 100.0)
  filled = t._replace(obs=t.obs + fill, next_obs=t.next_obs + fill)

  @jax.jit
  def outputs(t):
    latent = model.start(params, t, jax.random.key(1))
    _, p = model.step(params, latent, t.action, jax.random.key(2))
    rest = t, jnp.ones(24), jax.random.key(3)
    loss = jax.value_and_grad(model.loss, has_aux=True)(params, *rest)
    return loss, model.validate(params, *rest), tuple(p)

  jax.tree.map(np.testing.assert_array_equal, outputs(t), outputs(filled))


def test_errors_of_observations_are_means_over_what_is_seen(loaded):
  model = logo.make(LITERAL, loaded.spec, loaded.statistics)
  t, params = _batch(loaded, 24), jax.jit(model.init)(jax.random.key(0))
  s = loaded.statistics
  codecs = networks.codecs("mlp", SPEC, s, 0.0)
  nets = LocalToGlobal(Sizes(32, "float32", True, False, False, True), SPEC, *codecs)
  obs, after = codecs.obs.encode(t.obs), codecs.obs.encode(t.next_obs)
  z_obs, z_next = obs.values[..., 0, :], after.values[..., 0, :]
  np.testing.assert_allclose(z_obs[:, 0], standardise(t.obs, s.obs)[:, 0], rtol=1e-6)
  z_state = standardise(t.next_state, s.state)
  z_reward = standardise(t.reward, s.reward)
  now = Now(obs, codecs.state.encode(t.state), t.action, jnp.zeros(24))
  output = jax.jit(nets.obs)(params, (), now)
  blank = jax.tree.map(jnp.zeros_like, obs)
  next_state = codecs.state.encode(t.next_state)
  encoded_output = jax.jit(nets.encode)(params, next_state, z_reward)
  said = codecs.obs.decode(output, obs)
  mean = said.values[..., 0, :]
  encoded = codecs.obs.decode(encoded_output, blank).values[..., 0, :]
  log_var, encoded_log_var = (
    gaussian.bound_log_var(jnp.split(x[..., 0, :], 2, -1)[1])
    for x in (output, encoded_output)
  )
  for z in (z_obs, mean, encoded):
    assert (z[:, 1, 2] == 0).all()  # what R_d reads of padding

  def seen(x):
    return (x[..., 0, :3].sum(-1) + x[..., 1, :2].sum(-1)).mean() / 5

  def nll(mean, log_var):
    return seen(0.5 * ((z_next - mean) ** 2 / np.exp(log_var) + log_var))

  _, metrics = jax.jit(model.loss)(params, t, jnp.ones(24), jax.random.key(1))
  before, action = jax.jit(nets.reconstruct)(params, said)
  rebuilt = seen((z_obs - before) ** 2) + np.mean((t.action - action) ** 2)
  for name, value in {
    "predict": nll(mean, log_var),
    "encode": nll(encoded, encoded_log_var),
    "reconstruct": rebuilt,
  }.items():
    np.testing.assert_allclose(metrics[f"model/{name}_loss"], value, 1e-4, err_msg=name)
  # The literal form deduces the state itself.
  state = codecs.point.decode(jax.jit(nets.deduce)(params, said, now), now.state)
  reward = jax.jit(nets.reward)(params, said, state, now)
  logit = jax.jit(nets.termination)(params, state, now)  # nothing ends here
  error = seen((z_next - mean) ** 2)
  error += np.mean((z_state - state.values[..., 0, :]) ** 2)
  error += np.mean(np.log1p((z_reward - reward) ** 2))
  error += np.mean(np.log1p(np.exp(logit)))
  got = jax.jit(model.validate)(params, t, jnp.ones(24), jax.random.key(1))
  np.testing.assert_allclose(got, error, rtol=1e-4)


@pytest.mark.slow  # with discrete actions by default
def test_learns_a_linear_system(loaded):
  model = logo.make(
    logo.Config(network="mlp", hidden_size=64), loaded.spec, loaded.statistics
  )
  fit = make_fit(model, FitConfig(1_000, 64, learning_rate=3e-3, interval=1_000))
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  state, _ = toys.long(fit.chunk)(state, loaded.data)
  params = jax.tree.map(lambda x: x[None], state.best_params)
  errors = model_errors(model, params, loaded)
  assert errors["state_rmse"] < 0.1 * errors["state_rmse_persistence"]
  assert errors["obs_rmse"] < 0.1 * errors["obs_rmse_persistence"]
  assert errors["reward_r2"] > 0.98
  assert errors["legal_accuracy"] == 1
  assert errors["termination_false_alarms"] == 0
  far = errors["open_loop"]["10"]
  assert far["state_rmse"] < 0.2 * far["state_rmse_persistence"]
