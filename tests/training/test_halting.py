"""Rollouts that end where the model is not to be trusted, and what is searched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.registry import component
from logo_jax.data import dataset
from logo_jax.data.dataset import transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.imagination.rows import imagine_rows
from logo_jax.training import loop, parallel
from logo_jax.training.compose import compose
from logo_jax.training.step import make_train
from logo_jax.types import Actor, Transition, Uncertainty
from logo_jax.weighting import halt
from tests import toys
from tests.training import systems


@pytest.fixture(scope="module")
def loaded():
  return systems.load()


def _rollouts(loaded, threshold):
  """Two rollouts of four steps, agents staying where they are, scored 1, 2, 3, 4."""
  score = Uncertainty(
    min_views=1,
    init=None,  # type: ignore
    score=lambda params, t, p: jnp.ones_like(t.reward),
    accumulate=jnp.add,
    calibrate=lambda params, raw: raw,
  )
  weighting = halt.make(halt.Config(threshold, kappa=5.0), loaded.statistics)

  def stay(params, carry, now, key):
    return carry, jnp.ones(now.obs.shape[:-1], jnp.int32)

  actor = Actor(lambda shape: (), stay)
  _, now = toys.corridor().reset(None)
  now = jax.tree.map(lambda x: jnp.stack([x, x]), now)
  starts = Transition(
    *(now.obs, now.state, now.legal, jnp.zeros((2, 2), jnp.int32)),
    *(now.reward, now.discount, now.obs, now.state, now.legal),
  )
  imagination = Imagination(systems.simulator(), score, weighting)

  @jax.jit
  def run(key):
    return imagine_rows(imagination, actor, ((), (), ()), starts, 4, key)

  return run(jax.random.key(0))


@pytest.mark.parametrize(
  ("threshold", "length"), [(0.0, 1), (1.0, 2), (2.5, 3), (1e9, 4)]
)
def test_the_first_unknown_step_is_the_last(loaded, threshold, length):
  got = jax.tree.map(
    lambda x: x.reshape(2, 5, *x.shape[1:])[0], _rollouts(loaded, threshold)
  )
  np.testing.assert_array_equal(got.valid, np.arange(5) < length)
  halted = threshold < 4
  discount = np.ones(length)
  discount[-1] -= halted
  np.testing.assert_array_equal(got.rows.discount[:length], discount)
  reward = np.zeros(length)
  reward[-1] += halted * (-0.2 - 5.0)  # the least in the data: two steps to the left
  np.testing.assert_allclose(got.rows.reward[:length], reward, rtol=1e-6)


def _final_params(config, loaded):
  _, train, params = systems.train_parts(config, loaded)
  state = jax.jit(train.init)(jax.random.key(3), params, loaded.data)
  chunk = jax.jit(train.chunk, donate_argnums=0)
  for _ in range(2):
    state, _ = chunk(state, loaded.data)
  return jax.tree.leaves(jax.device_get(state.learner.params))


def test_a_threshold_out_of_reach_is_no_weighting(loaded):
  never = component("weighting", "halt", threshold=1e30, kappa=0.0)
  cheap = component("learner", "bc", hidden_size=16)
  runs = [
    _final_params(systems.small("morel", learner=cheap, weighting=w), loaded)
    for w in (component("weighting", "uniform"), never)
  ]
  for x, y in zip(*runs, strict=True):  # two programs, which may round apart
    np.testing.assert_allclose(x, y, atol=1e-6)


SEARCH = component("uncertainty", "knn_search", bank_size=40)


@pytest.mark.parametrize(
  "placement", [pytest.param("device", marks=pytest.mark.slow), "host"]
)
def test_what_is_searched_is_spread_over_the_training_split(placement):
  """And the unit is from the selection split, wherever the rows are."""
  played = toys.random_play(toys.corridor(), 100)
  loaded = dataset.load(played, placement)
  config = systems.small("logo_macql", uncertainty=SEARCH)
  system = compose(config, loaded.spec, loaded.statistics)
  assert system.imagination is not None
  mesh = parallel.make_mesh(1, 1)
  keys = jax.random.split(jax.random.key(0), 1)
  k_model = jax.random.split(jax.random.key(1), 1)
  params = jax.jit(jax.vmap(system.imagination.model.init))(k_model)
  data = parallel.place(loaded.data, mesh)
  state = loop.init_train(make_train(system, config), mesh, keys, params, data)

  rows = jax.tree.map(jnp.asarray, loaded.data.rows)
  train, select = np.asarray(loaded.data.train), np.asarray(loaded.data.select)
  spread = train[np.linspace(0, len(train) - 1, 40).astype(int)]
  assert len(np.unique(spread)) == 40 and spread[-1] == train[-1]
  expected = system.imagination.uncertainty.init(
    None, None, transitions(rows, select), transitions(rows, spread), None
  )
  got = jax.tree.map(lambda x: x[0], state.uncertainty)  # the axis of seeds
  np.testing.assert_array_equal(got.points, expected.points)
  np.testing.assert_allclose(got.unit, expected.unit, rtol=1e-6)


def test_a_bank_is_no_larger_than_the_training_split(loaded):
  config = systems.small(
    "logo_macql", uncertainty=component("uncertainty", "knn_search")
  )
  _, train, params = systems.train_parts(config, loaded)
  shapes = jax.eval_shape(train.init, jax.random.key(0), params, loaded.data)
  assert shapes.uncertainty.points.shape[:2] == (2, len(loaded.data.train))
