"""The model with a memory: what it learns on, starts from, and can tell."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.config import FitConfig
from logo_jax.data.dataset import load, transitions
from logo_jax.evaluation import open_loop
from logo_jax.ops.standardise import standardise
from logo_jax.training.fit_model import make_fit
from logo_jax.world_models import rssm
from tests import toys

T = 4
SMALL = rssm.Config(
  window=T,
  hidden_size=8,
  num_categoricals=2,
  num_classes=4,
  num_layers=1,
  num_heads=2,
  latent="mode",
)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def loaded():
  return load(toys.linear_quadratic(30))


@pytest.fixture(scope="module")
def model(loaded):
  return rssm.make(SMALL, loaded.spec, loaded.statistics)


@pytest.fixture(scope="module")
def params(model):
  return jax.jit(model.init)(jax.random.key(1))


@pytest.fixture(scope="module")
def windows(loaded):
  """From the beginning of an episode, and from a later step of another one."""
  return transitions(loaded.data.rows, jnp.array([[0], [11]]) + jnp.arange(T))


@pytest.fixture(scope="module")
def losses(model):
  """Of windows: the gradient of a loss by the actions, and all losses."""

  def loss(action, chosen, params, t, weight):
    _, metrics = model.loss(params, t._replace(action=action), weight, KEY)
    return sum(chosen[name] * metrics[name] for name in metrics), metrics

  compiled = jax.jit(jax.grad(loss, has_aux=True))

  def of(name, params, t, weight):
    names = ("obs", "state", "kl", "action", "reward", "termination")
    chosen = {f"model/{x}_loss": jnp.float32(x == name) for x in names}
    return compiled(t.action, chosen, params, t, weight)

  return of


def _only(step):
  return jnp.zeros((2, T)).at[:, step].set(1.0)


@pytest.mark.parametrize("name", ["reward", "termination"])
def test_what_a_step_brings_is_told_from_its_own_action(losses, params, windows, name):
  """And from those before, never from the next one, or from what came of it."""
  for step in range(T):
    grad, _ = losses(name, params, windows, _only(step))
    np.testing.assert_array_equal(np.any(grad != 0, (0, 2, 3)), np.arange(T) <= step)


def test_rewards_are_not_told_from_the_observation_that_comes_with_them(
  losses, params, windows
):
  blind = windows._replace(obs=windows.obs.at[:, 2:].set(9.0))
  for step in range(T):
    _, seen = losses("reward", params, windows, _only(step))
    _, other = losses("reward", params, blind, _only(step))
    same = seen["model/reward_loss"] == other["model/reward_loss"]
    assert same == (step < 2)


def test_rollouts_say_what_windows_learn(model, losses, params, windows, loaded):
  """A step from what its history came to is the step that the loss is taken of."""

  @jax.jit
  def go(params, history):
    latent = model.start(params, history, KEY)
    return model.step(params, latent, history.action[:, -1], KEY)[1]

  for step in (0, T - 1):
    p = go(params, jax.tree.map(lambda x, n=step: x[:, : n + 1], windows))
    moments = loaded.statistics.reward
    came = standardise(windows.reward[:, step], moments)
    said = standardise(p.reward, moments)
    error = np.abs(said - came)
    assert (p.reward > moments.low).all()  # else it was clipped
    huber = np.where(error < 1, error**2 / 2, error - 0.5)
    _, metrics = losses("reward", params, windows, _only(step))
    np.testing.assert_allclose(metrics["model/reward_loss"], huber.mean() / T, 1e-4)


def test_the_selection_error_is_of_single_steps_by_the_prior(
  model, params, windows, loaded
):
  """At the last step: of both observations, the state, the reward, and the end."""

  @jax.jit
  def both(params):
    latent = model.start(params, windows, KEY)
    _, p = model.step(params, latent, windows.action[:, -1], KEY)
    return model.validate(params, windows, _only(T - 1), KEY), p

  error, p = both(params)
  z = loaded.statistics

  def squared(said, came, m):
    return np.square(standardise(said, m) - standardise(came, m))

  wanted = squared(p.obs, windows.next_obs[:, -1], z.obs).mean((1, 2))
  wanted += squared(p.state, windows.next_state[:, -1], z.state).mean(1)
  wanted += np.log1p(squared(p.reward, windows.reward[:, -1], z.reward))
  # The discount has undone the class weight of 5, and no episode has ended.
  odds = 5 * (1 - p.discount) / p.discount
  wanted += np.log1p(odds)
  np.testing.assert_allclose(error, wanted.mean() / T, rtol=1e-3)


def test_a_first_row_repeated_in_front_is_forgotten(model, params, loaded):
  """Episodes shorter than the window are started from as they are."""
  start = jax.jit(model.start)
  rows = loaded.data.rows
  padded = start(params, transitions(rows, jnp.array([[9, 9, 9, 10]])), KEY)
  longer = start(params, transitions(rows, jnp.array([[9, 10, 11, 12]])), KEY)
  assert (longer.memory != padded.memory).any()
  # Nor does it matter what was before the episode.
  other = start(params, transitions(rows, jnp.array([[6, 7, 9, 10]])), KEY)
  jax.tree.map(np.testing.assert_array_equal, padded, other)


def test_what_is_beyond_the_end_counts_for_nothing(losses, params, windows):
  """Rows after the last step of two are repeated; what they hold is of no matter."""
  weight = jnp.array([[2.0, 2.0, 0.0, 0.0]] * 2)
  time = windows.time.at[:, 2:].set(windows.time[:, 2:3])
  cut = windows._replace(time=time)
  spoilt = jax.tree.map(lambda x: x.at[:, 3:].set(x[:1, :1]), cut)._replace(time=time)
  for name in ("obs", "kl", "action", "reward"):
    one, other = (losses(name, params, t, weight) for t in (cut, spoilt))
    np.testing.assert_array_equal(one[0], other[0])
    jax.tree.map(np.testing.assert_array_equal, one[1], other[1])
  # What the last step led to does count.
  other = cut._replace(obs=cut.obs.at[:, 2].add(1.0))
  _, metrics = losses("obs", params, other, weight)
  _, before = losses("obs", params, cut, weight)
  assert metrics["model/obs_loss"] != before["model/obs_loss"]


@pytest.mark.slow
def test_the_state_moves_the_model_or_its_decoder_alone(loaded, windows):
  grads = {}
  for weight, gradient in ((0.0, True), (1.0, False), (1.0, True)):
    config = dataclasses.replace(SMALL, state_weight=weight, state_gradient=gradient)
    model = rssm.make(config, loaded.spec, loaded.statistics)
    params = jax.jit(model.init)(jax.random.key(1))
    grad = jax.jit(jax.grad(lambda p, m=model: m.loss(p, windows, _only(1), KEY)[0]))
    grads[weight, gradient] = grad(params)
  none, alone, all_of_it = grads.values()
  assert np.abs(jax.tree.leaves(alone["state"])[0]).max() > 0
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-7),
    none["encoder"],
    alone["encoder"],
  )
  first = [jax.tree.leaves(g["encoder"])[1] for g in (alone, all_of_it)]
  assert np.abs(first[0] - first[1]).max() > 1e-6


def test_bad_numbers_are_refused(loaded):
  for fields, message in (
    ({"window": 0}, "model.window"),
    ({"kl_balance": 1.5}, "model.kl_balance"),
    ({"num_heads": 3}, "model.num_heads: must divide model.hidden_size"),
  ):
    config = dataclasses.replace(SMALL, **fields)
    with pytest.raises(ValueError, match=message):
      rssm.make(config, loaded.spec, loaded.statistics)


def test_it_remembers_what_no_markov_model_can_know():
  """Whoever sees the present alone says the mean: an error of 1 deviation."""
  loaded = load(toys.delayed())
  small = {"window": 6, "hidden_size": 16, "num_layers": 0, "latent": "sample"}
  config = dataclasses.replace(SMALL, **small)
  model = rssm.make(config, loaded.spec, loaded.statistics)
  fit = make_fit(model, FitConfig(300, 96, learning_rate=5e-3, interval=300))
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  state, metrics = jax.jit(fit.chunk)(state, loaded.data)
  # What was done is told from what came of it; of others it is log 2 = 0.69.
  assert metrics["model/action_loss"] < 0.35
  params = jax.tree.map(lambda x: x[None], state.best_params)
  windows = open_loop.take_windows(loaded)
  rolled = open_loop.roll_out(model, params, loaded, windows, (1, 4))
  # From the third step on what was done two steps ago is known.
  known = windows.before >= 1
  for kind in ("state", "obs"):
    error = getattr(rolled, f"{kind}_error")[0]
    moved = getattr(rolled, f"{kind}_moved")
    assert moved[0, known].mean() > 1.5
    assert error[0, known].mean() < 0.2
    assert error[3, windows.left >= 4].mean() < 0.2
