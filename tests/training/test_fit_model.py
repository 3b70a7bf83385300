"""Early stopping: what is kept, and who stops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.config import FitConfig
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
