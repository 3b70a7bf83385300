"""MAZero's model as a world model: what it learns, and what rollouts say of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load, transitions
from logo_jax.ops.standardise import standardise
from logo_jax.world_models import value_equivalent
from tests import toys

T = 4
SMALL = value_equivalent.Config(hidden_size=8, num_layers=1, num_heads=2, td_steps=2)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def loaded():
  return load(toys.linear_quadratic(30))


@pytest.fixture(scope="module")
def model(loaded):
  return value_equivalent.make(SMALL, loaded.spec, loaded.statistics)


@pytest.fixture(scope="module")
def params(model):
  """Of which no last layer is 0, as they are at first."""
  made = jax.jit(model.init)(jax.random.key(1))
  leaves, tree = jax.tree.flatten(made)
  keys = jax.random.split(jax.random.key(2), len(leaves))
  noisy = [
    x + 0.03 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)
  ]
  return jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="module")
def windows(loaded):
  return transitions(loaded.data.rows, jnp.array([[0], [11]]) + jnp.arange(T))


def _only(step):
  return jnp.zeros((2, T)).at[:, step].set(1.0)


def test_the_selection_error_is_of_rollouts(model, params, windows, loaded):
  """At the third step: of both observations, the state, the reward, and the end."""

  @jax.jit
  def both(params):
    latent = model.start(params, jax.tree.map(lambda x: x[:, 0], windows), KEY)
    for step in range(3):
      latent, p = model.step(params, latent, windows.action[:, step], KEY)
    return model.validate(params, windows, _only(2), KEY), p

  error, p = both(params)
  z = loaded.statistics

  def squared(said, came, m):
    return np.square(standardise(said, m) - standardise(came, m))

  wanted = squared(p.obs, windows.next_obs[:, 2], z.obs).mean((1, 2))
  wanted += squared(p.state, windows.next_state[:, 2], z.state).mean(1)
  wanted += np.log1p(squared(p.reward, windows.reward[:, 2], z.reward))
  # The discount has undone the class weight of 5, and no episode has ended.
  wanted += np.log1p(5 * (1 - p.discount) / p.discount)
  np.testing.assert_allclose(error, wanted.mean() / T, rtol=1e-3)


def test_values_are_of_returns_within_the_episode(model, params, windows):
  """Of two rewards here, and of what is behind them; never beyond the end."""

  @jax.jit
  def values(reward, weight):
    _, metrics = model.loss(params, windows._replace(reward=reward), weight, KEY)
    return metrics["model/value_loss"]

  def depends(weight):
    """Of which steps' rewards the losses of steps depend, [T]."""
    before = values(windows.reward, weight)
    after = [values(windows.reward.at[:, i].add(9.0), weight) for i in range(T)]
    return [bool(x != before) for x in after]

  whole = jnp.ones((2, T))
  first = whole.at[:, 1:].set(1e-6)  # all but the first step weigh next to nothing
  far = np.abs(
    [
      float(values(windows.reward.at[:, i].add(9.0), first))
      - float(values(windows.reward, first))
      for i in range(T)
    ]
  )
  np.testing.assert_array_equal(far > 1e-3, [True, True, False, False])
  # The episode ends after two steps.
  assert depends(whole.at[:, 2:].set(0.0)) == [True, True, False, False]


@pytest.mark.slow
def test_decoders_move_the_latents_if_they_may(model, params, windows, loaded):
  grads = {}
  for may in (True, False):
    config = dataclasses.replace(SMALL, decode_gradient=may)
    model = value_equivalent.make(config, loaded.spec, loaded.statistics)

    def loss(params, model=model):
      _, metrics = model.loss(params, windows, jnp.ones((2, T)), KEY)
      return metrics["model/obs_loss"] + metrics["model/state_loss"]

    grads[may] = jax.jit(jax.grad(loss))(params)
  moved = {may: np.abs(jax.tree.leaves(g["net"])[0]).max() for may, g in grads.items()}
  assert moved[True] > 0 and moved[False] == 0
  assert np.abs(jax.tree.leaves(grads[False]["decoders"])[1]).max() > 0


def test_bad_numbers_are_refused(loaded):
  for fields, message in (
    ({"td_steps": 0}, "model.td_steps"),
    ({"num_heads": 3}, "model.num_heads: must divide model.hidden_size .8., got 3"),
  ):
    config = dataclasses.replace(SMALL, **fields)
    with pytest.raises(ValueError, match=message):
      value_equivalent.make(config, loaded.spec, loaded.statistics)
