"""Real and imagined rows in one batch, before and after imagination is ready."""

import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.learners.parts.conservative import real_weight
from logo_jax.training import mixing
from logo_jax.types import Transition


def _rows(num: int, real: bool, weight=1.0):
  t = Transition(*(jnp.full(num, float(real)) for _ in Transition._fields))
  return mixing.batch_of(t, weight, real, 0.25)


def test_real_rows_count_alone_until_imagination_is_ready():
  real, imagined = _rows(1, True), _rows(3, False, jnp.array([1.0, 0.5, 1.5]))
  ready = mixing.side_by_side(real, imagined, jnp.bool_(True))
  np.testing.assert_array_equal(ready.real, [True, False, False, False])
  np.testing.assert_allclose(ready.weight, [1, 1, 0.5, 1.5])
  np.testing.assert_allclose(real_weight(ready), [4, 0, 0, 0])
  waits = mixing.side_by_side(real, imagined, jnp.bool_(False))
  np.testing.assert_allclose(waits.weight, [4, 0, 0, 0])  # of mean 1, as before
  np.testing.assert_allclose(real_weight(waits), [4, 0, 0, 0])


@pytest.mark.parametrize(
  ("coin", "ready", "is_real", "share"),
  [(0.2, True, True, 0.25), (0.3, True, False, 0.25), (0.99, False, True, 1.0)],
)
def test_the_coin_falls_on_real_rows_until_imagination_is_ready(
  coin, ready, is_real, share
):
  real, imagined = _rows(2, True), _rows(2, False)
  batch = mixing.by_coin(real, imagined, jnp.float32(coin), jnp.bool_(ready))
  assert batch.real.tolist() == [is_real] * 2
  assert float(batch.real_share) == share
  np.testing.assert_allclose(batch.weight, 1.0)
