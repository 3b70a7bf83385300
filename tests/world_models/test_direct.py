"""The direct model: its losses and views again, from the outputs of its networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs.tokens import Tokens
from logo_jax.data.dataset import transitions
from logo_jax.networks.flat_models import DirectNetworks, Sizes
from logo_jax.networks.now import Now
from logo_jax.ops import gaussian
from logo_jax.ops.standardise import standardise
from logo_jax.world_models import direct
from logo_jax.world_models.parts import networks
from tests import toys

CONFIG = direct.Config(network="mlp", hidden_size=16, reward_weight=3.0)


@pytest.fixture(scope="module")
def loaded():
  return toys.load_corridor(60)


def test_losses_and_views(loaded):
  spec, s = loaded.spec, loaded.statistics
  model = direct.make(CONFIG, spec, s)
  params = jax.jit(model.init)(jax.random.key(0))
  t = transitions(loaded.data.rows, loaded.data.train[:16])
  nets = DirectNetworks(Sizes(16), spec, *networks.codecs("mlp", spec, s, 0.5)[:2])
  obs, state = standardise(t.obs, s.obs), standardise(t.state, s.state)
  z_obs, z_state = standardise(t.next_obs, s.obs), standardise(t.next_state, s.state)

  def token(z):
    return Tokens(z[..., None, :], jnp.ones((*z.shape[:-1], 1)))

  now = Now(token(obs), token(state), jax.nn.one_hot(t.action, 3), jnp.zeros(16))
  trunk = jax.jit(nets.trunk)(params, now)

  def read(before, output):
    change, raw = jnp.split(output[..., 0, :], 2, -1)
    return before + change, np.asarray(gaussian.bound_log_var(raw))

  def nll(target, mean, log_var):
    v = np.exp(log_var)
    return np.mean(v**0.5 * 0.5 * ((target - mean) ** 2 / v + log_var))

  state_mean, state_log_var = read(state, jax.jit(nets.state)(params, trunk, now))
  obs_mean, obs_log_var = read(obs, jax.jit(nets.obs)(params, trunk, now))
  rewarded = jax.jit(nets.reward)
  reward = rewarded(params, token(obs_mean), token(state_mean), now)
  _, metrics = jax.jit(model.loss)(params, t, jnp.ones(16), jax.random.key(1))
  expected = {
    "state": nll(z_state, state_mean, state_log_var),
    "obs": nll(z_obs, obs_mean, obs_log_var),
    "reward": 3 * np.mean((reward - standardise(t.reward, s.reward)) ** 2),
  }
  assert {k[6:-5] for k in metrics} == {*expected, "termination", "legal"}
  for name, value in expected.items():
    got = metrics[f"model/{name}_loss"]
    np.testing.assert_allclose(got, value, rtol=1e-4, err_msg=name)
  # One view of one group: the state, then all observations.
  latent = model.start(params, t, jax.random.key(2))
  _, p = jax.jit(model.step)(params, latent, t.action, jax.random.key(3))
  both = jnp.concatenate([state_mean, obs_mean.reshape(16, -1)], -1)
  np.testing.assert_allclose(p.mean[:, 0, 0], both, atol=1e-5)
  log_var = np.concatenate([state_log_var, obs_log_var.reshape(16, -1)], -1)
  np.testing.assert_allclose(p.std[:, 0, 0], np.exp(log_var / 2), rtol=1e-4)


def test_predictions_are_clipped_to_the_data_and_leave_a_legal_action(loaded):
  model = direct.make(CONFIG, loaded.spec, loaded.statistics)
  params = jax.tree.map(lambda x: 50 * x, jax.jit(model.init)(jax.random.key(0)))
  t = transitions(loaded.data.rows, loaded.data.train[:16])
  latent = model.start(params, t, jax.random.key(1))
  _, p = jax.jit(model.step)(params, latent, t.action, jax.random.key(2))
  assert p.state.min() >= 0 and p.state.max() <= 1
  assert p.obs.min() >= 0 and p.obs.max() <= 1
  assert p.legal.any(-1).all()
