"""Models with a memory are started from what led there, and fitted on windows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.configs.config import FitConfig
from logo_jax.configs.registry import component
from logo_jax.data.dataset import draw_starts, transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.training import compose, segments
from logo_jax.training.compose import System
from logo_jax.training.fit_model import make_fit
from logo_jax.training.sources import Acting, UpdateKeys, mixed, on_policy
from logo_jax.types import WorldModel
from tests.training import systems

W = 3


@pytest.fixture(scope="module")
def loaded():
  return systems.load()


def _key(seed):
  return jax.random.key(seed)


def test_a_history_leads_to_where_a_markov_model_would_start(loaded):
  starts = loaded.data.starts
  alone = segments.draw_starts(starts, 40, 1, _key(0))
  np.testing.assert_array_equal(alone, draw_starts(starts, 40, _key(0)))
  led = segments.draw_starts(starts, 40, W, _key(0))
  assert led.shape == (40, W)
  np.testing.assert_array_equal(led[:, -1], alone)
  time = np.asarray(loaded.data.rows.time)
  lag = np.minimum(np.arange(W)[::-1], time[alone][:, None])
  np.testing.assert_array_equal(led, alone[:, None] - lag)
  assert (lag.max(1) == W - 1).any() and (lag.max(1) == 0).any()


def _imagination() -> Imagination:
  """The corridor itself, which goes on from the first step of a history."""
  simulator = systems.simulator()

  def start(params, t, key):
    assert t.reward.shape == (16, W)
    return simulator.start(params, jax.tree.map(lambda x: x[:, 0], t), key)

  return systems.trusting(simulator._replace(window=W, start=start))


def test_rollouts_begin_where_histories_end(loaded):
  """Rows begin at the last step; what the model says goes on from what it was shown."""
  config, rows = systems.small("logo_macql", horizon=1), loaded.data.rows
  learner = systems.recorder(1, None)  # type: ignore
  system = System(learner, _imagination(), 8)
  acting = Acting((), (), ())
  source = mixed.make(system, config, None)
  index = source.plan_chunk(loaded.data, _key(1))
  ring = source.init(acting, transitions(rows, index), _key(2))
  ring, *_ = jax.jit(source.refresh)(ring, acting, rows, index, _key(3), 100)
  state = np.asarray(ring.content.rows.state).reshape(-1, 2, 8)[:16]
  np.testing.assert_array_equal(state[:, 0], rows.state[index[:, -1]])
  # One step from the first of the history, not from the last.
  both = np.stack([np.asarray(rows.state)[index[:, 0]], state[:, 1]])
  cells = both.reshape(2, 16, 2, 4).argmax(-1)
  assert np.abs(cells[1] - cells[0]).max() <= 1

  source = on_policy.make(system, config, None)
  keys = UpdateKeys(*(_key(i) for i in range(4, 8)))
  index = source.plan_update(loaded.data, keys)
  rollouts, _ = jax.jit(source.draw)((), acting, rows, index, keys)
  t = rollouts.transition
  np.testing.assert_array_equal(t.state[:, 0], rows.state[index[:, -1]])
  np.testing.assert_array_equal(t.time[:, 0], rows.time[index[:, -1]])


def test_fits_are_on_windows_of_the_models_length(loaded):
  def loss(params, t, weight, key):
    assert t.reward.shape == weight.shape == (8, W)
    return params, {"model/x": params}

  def validate(params, t, weight, key):
    assert t.reward.shape == weight.shape == (8, W)
    return params

  def init(key):
    return jnp.float32(0.0)

  model = WorldModel(1, W, init, loss, validate, None, None, None)  # type: ignore
  fit = make_fit(model, FitConfig(updates=10, batch_size=8 * W, interval=10))
  state = jax.eval_shape(fit.init, _key(0), loaded.data)
  jax.eval_shape(fit.chunk, state, loaded.data)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"fit": FitConfig(batch_size=128)}, "fit.batch_size: .* model.window .*20.*128"),
    (
      {"fit": FitConfig(batch_size=400, unroll=4)},
      "fit.unroll: must be 1 with model.name 'rssm'.*got 4",
    ),
    (
      {"uncertainty": component("uncertainty", "knn_search")},
      "uncertainty.name: 'knn_search' is calibrated on single steps.*'none'",
    ),
  ],
)
def test_what_does_not_go_with_a_memory_is_refused(loaded, changes, message):
  config = dataclasses.replace(presets.get("mamba"), **changes)
  with pytest.raises(ValueError, match=message):
    compose.compose(config, loaded.spec, loaded.statistics)
