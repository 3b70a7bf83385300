"""Behaviour models: what they learn of the data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.data.dataset import load
from logo_jax.networks.agent import Trunk
from logo_jax.networks.behaviour import JointActionVAE, make_behaviour
from logo_jax.ops.standardise import Moments
from tests import toys
from tests.learners import problems

TRUNK = Trunk(hidden_size=32, share_agents=True)


def _fit(model, loaded, updates, size=128, learning_rate=3e-3):
  optimizer = optax.adam(learning_rate)

  def update(carry, step):
    params, opt_state = carry
    k_batch, k_cost = jax.random.split(jax.random.fold_in(jax.random.key(3), step))
    t = problems.draw_batch(loaded, size, k_batch).transition
    grads = jax.grad(lambda p: model.cost(p, t, k_cost).mean())(params)
    moved, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, moved), opt_state), None

  params = jax.jit(model.init)(jax.random.key(0))
  run = jax.jit(lambda c: jax.lax.scan(update, c, jnp.arange(updates)))
  return run((params, optimizer.init(params)))[0][0]


def test_the_clone_learns_how_often_actions_are_taken():
  loaded = load(toys.matrix_game())
  model = make_behaviour(loaded.spec, loaded.statistics, TRUNK)
  params = _fit(model, loaded, 400)
  t = problems.draw_batch(loaded, 8, jax.random.key(1)).transition
  beta = np.exp(model.log_probs(params, t))  # pyright: ignore[reportAttributeAccessIssue]
  wanted = np.broadcast_to([0.7, 0.3], (8, 2, 2))
  np.testing.assert_allclose(beta, wanted, atol=0.05)


def test_illegal_actions_have_no_probability():
  loaded = toys.load_corridor(20)
  model = make_behaviour(loaded.spec, loaded.statistics, TRUNK)
  t = problems.draw_batch(loaded, 32, jax.random.key(1)).transition
  log_probs = model.log_probs(model.init(jax.random.key(0)), t)  # pyright: ignore[reportAttributeAccessIssue]
  beta = np.exp(log_probs)
  assert (beta[~np.asarray(t.legal)] == 0).all()
  np.testing.assert_allclose(beta.sum(-1), 1.0, rtol=1e-5)


@pytest.fixture(scope="module")
def vae():
  """Of the linear-quadratic data, a = -0.5 x with much noise."""
  loaded = load(toys.linear_quadratic())
  model = make_behaviour(loaded.spec, loaded.statistics, TRUNK)
  assert isinstance(model, JointActionVAE)
  return model, _fit(model, loaded, 600)


def test_recorded_actions_are_likelier_than_others(vae):
  model, params = vae
  state = jnp.linspace(-0.8, 0.8, 9)[:, None]
  usual = jnp.broadcast_to(-0.5 * state[..., None], (9, 2, 1))

  def log_prob(action):
    return model.log_prob(params, state, action, jax.random.key(1), 200)

  usual_log_prob = log_prob(usual)[:, 1]
  # Near the best density of the noise, of deviation 0.47.
  np.testing.assert_allclose(usual_log_prob, -0.16, atol=0.15)
  for wrong in (1.0, -1.0):
    drop = usual_log_prob - log_prob(usual.at[:, 1].set(wrong))[:, 1]
    far = np.abs(wrong - np.asarray(usual[:, 1, 0]))
    assert (drop > 0.5).all()
    assert (np.diff(drop[np.argsort(far)]) > 0).all()  # the further, the less likely


def test_densities_integrate_to_one(vae):
  """Over all of the line: decoded actions have noise beyond the box."""
  model, params = vae
  grid = jnp.linspace(-3.0, 3.0, 121)
  action = jnp.zeros((121, 2, 1)).at[:, 0, 0].set(grid)
  state = jnp.full((121, 1), 0.3)
  log_prob = model.log_prob(params, state, action, jax.random.key(1), 500)[:, 0]
  total = np.exp(log_prob).sum() * (grid[1] - grid[0])
  assert total == pytest.approx(1.0, abs=0.05)


def test_log_prob_without_an_encoder_to_help():
  """By hand: with all weights 0, the posterior is the prior and the mean action 0."""
  one = jnp.ones(1)
  moments = Moments(0 * one, one, one, -one, one, one > 0)
  model = JointActionVAE(2, 1, 8, moments, "float32")
  params = jax.tree.map(jnp.zeros_like, jax.jit(model.init)(jax.random.key(0)))
  action = jnp.array([[0.0], [0.5]])
  log_prob = model.log_prob(params, jnp.zeros(1), action, jax.random.key(1), 4)
  peak = -0.5 * np.log(2 * np.pi * 0.125)  # a variance of 0.5 / 4
  np.testing.assert_allclose(log_prob, [peak, peak - 0.25 / 0.25], rtol=1e-5)
