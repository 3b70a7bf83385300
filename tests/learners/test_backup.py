"""Targets along windows, and networks that follow, by hand."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.learners.parts import backup
from logo_jax.types import Batch, Transition


def _windows(weight) -> Batch:
  none = jnp.zeros((1, 3))
  reward, discount = jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 1.0, 0.5]])
  t = Transition(none, none, none, none, reward, discount, none, none, none)
  return Batch(t, jnp.array([weight]), none > 0, jnp.float32(1))


CONFIG = types.SimpleNamespace(discount=0.5, reward_scale=2.0, td_lambda=0.5)


@pytest.mark.parametrize(
  ("weight", "value_range", "expected"),
  [
    # G_3 = 6 + 0.25 x 40 = 16; G_2 = 4 + 0.5 (20 + 16) / 2 = 13;
    # G_1 = 2 + 0.5 (10 + 13) / 2 = 7.75.
    ([1.0, 1.0, 1.0], None, [7.75, 13.0, 16.0]),
    # The third step is padding: G_2 = 4 + 0.5 x 20 = 14; G_1 = 2 + 0.5 (10 + 14) / 2.
    ([1.5, 1.5, 0.0], None, [8.0, 14.0]),
    ([1.5, 1.5, 0.0], (-1.0, 9.0), [8.0, 9.0]),
  ],
  ids=["whole", "cut", "clipped"],
)
def test_returns_along_windows_by_hand(weight, value_range, expected):
  next_q = jnp.array([[10.0, 20.0, 40.0]])
  got = backup.returns(_windows(weight), next_q, CONFIG, value_range)
  np.testing.assert_allclose(got[0, : len(expected)], expected, rtol=1e-6)


@pytest.mark.parametrize(("step", "expected"), [(0, 2.0), (1, 2.0), (2, 3.0)])
def test_targets_follow_when_they_are_due(step, expected):
  """A quarter of the way from 2 to 6, at every third update."""
  config = types.SimpleNamespace(target_rate=0.25, target_period=3)
  params, target = {"x": jnp.float32(6.0)}, {"x": jnp.float32(2.0)}
  assert backup.follow(params, target, jnp.int32(step), config)["x"] == expected
