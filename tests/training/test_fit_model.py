"""Early stopping: what is kept, and who stops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.config import FitConfig
from logo_jax.training.fit_model import make_fit
from logo_jax.types import WorldModel
from tests.training import systems


@pytest.fixture(scope="module")
def loaded():
  return systems.load()


def _model() -> WorldModel:
  """One parameter that Adam moves up by its rate; the best is at 1.6."""
  return WorldModel(
    num_views=1,
    window=1,
    init=lambda key: jnp.float32(0.0),
    loss=lambda params, t, weight, key: (-params, {"model/x": params}),
    validate=lambda params, t, weight, key: (params - 1.6) ** 2,
    start=None,  # type: ignore
    step=None,  # type: ignore
    diagnose=None,  # type: ignore
  )


def test_the_best_parameters_are_kept_and_a_stale_fit_stands_still(loaded):
  config = FitConfig(
    updates=1_000_000, batch_size=4, learning_rate=0.1, interval=10, patience=2
  )
  fit = make_fit(_model(), config)
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  chunk = jax.jit(fit.chunk)
  seen = []
  for _ in range(5):
    state, _ = chunk(state, loaded.data)
    seen.append((float(state.params), float(state.best_params), int(state.stale)))
  params, best, stale = zip(*seen, strict=True)
  # At 4 it has been worse than at 2 twice, and stops.
  np.testing.assert_allclose(params, [1.0, 2.0, 3.0, 4.0, 4.0], rtol=1e-3)
  np.testing.assert_allclose(best, [1.0, 2.0, 2.0, 2.0, 2.0], rtol=1e-3)
  assert stale == (0, 0, 1, 2, 2)


def test_members_are_clipped_as_if_alone(loaded):
  """A second member with large gradients changes nothing of the first."""

  def fitted(slopes):
    """Steps towards random rewards; steepness alternates, so that clipping shows."""
    model = _model()._replace(
      init=lambda key: jnp.zeros(len(slopes)),
      loss=lambda p, t, w, k: (
        (jnp.array(slopes) * jnp.exp(3 * jax.random.normal(k)) * (p - 9.0) ** 2).sum(),
        {"model/x": p.mean()},
      ),
      validate=lambda p, t, w, k: p,
      error_shape=(len(slopes),),
    )
    fit = make_fit(model, FitConfig(1_000, 4, learning_rate=0.1, interval=10))
    state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
    return jax.jit(fit.chunk)(state, loaded.data)[0].params

  alone, beside = fitted([0.1]), fitted([0.1, 1e4])
  np.testing.assert_allclose(beside[0], alone[0], rtol=1e-5)


def test_each_member_keeps_its_own_best(loaded):
  """Adam moves both up alike; their best are at 1.6 and 2.6."""
  best = jnp.array([1.6, 2.6])
  model = _model()._replace(
    init=lambda key: jnp.zeros(2),
    loss=lambda params, t, weight, key: (-params.sum(), {"model/x": params.mean()}),
    validate=lambda params, t, weight, key: (params - best) ** 2,
    error_shape=(2,),
  )
  config = FitConfig(1_000_000, 4, learning_rate=0.1, interval=10, patience=2)
  fit = make_fit(model, config)
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  chunk = jax.jit(fit.chunk)
  stale, errors = [], []
  for _ in range(6):
    state, metrics = chunk(state, loaded.data)
    stale.append(int(state.stale))
    errors.append(float(metrics["model/selection_error"]))
  np.testing.assert_allclose(state.best_params, [2.0, 3.0], rtol=1e-3)
  np.testing.assert_allclose(state.best_loss, [0.16, 0.16], rtol=0.02)
  # At 3 the second one still gets better; at 5 neither has for two evaluations.
  assert stale == [0, 0, 0, 1, 2, 2]
  np.testing.assert_allclose(errors[:3], [1.46, 0.26, 1.06], rtol=0.01)  # means
  np.testing.assert_allclose(state.params, [5.0, 5.0], rtol=1e-3)
