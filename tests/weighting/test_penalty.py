import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops.standardise import moments
from logo_jax.types import Statistics, Transition
from logo_jax.weighting import penalty


def _make(**fields):
  # Rewards -1 and 3: deviation 2.
  reward = moments(np.array([-1.0, 3.0]))
  statistics = Statistics(reward, reward, reward, (0.0, 0.0))
  return penalty.make(penalty.Config(**fields), statistics)


def _rows(reward):
  none = jnp.zeros(len(reward))
  return Transition(*[none] * 4, jnp.array(reward), none + 1, *[none] * 3)


def test_eq_1_by_hand():
  """r - lambda u with lambda = 0.5 deviations of the reward per unit: r - u."""
  weighting = _make(coefficient=0.5, free=0.0)
  rows, u = _rows([1.0, 0.0, 2.0]), jnp.array([0.0, 1.0, 3.0])
  drawn = weighting.on_sample(rows, u)
  np.testing.assert_allclose(drawn.reward, [1.0, -1.0, -1.0])
  np.testing.assert_array_equal(drawn.discount, rows.discount)
  # Rows are stored as they are, all of them, and drawn uniformly.
  stored, valid = weighting.on_store(rows, u)
  assert stored is rows and valid.all()
  np.testing.assert_array_equal(weighting.log_weight(u), 0.0)
  assert weighting.return_loss == float("inf")


def test_only_what_is_beyond_the_data_pays():
  """By default 2, a deviation of the reward, per unit of u above 1."""
  drawn = _make().on_sample(_rows([1.0, 0.0, 2.0]), jnp.array([0.9, 1.0, 2.5]))
  np.testing.assert_allclose(drawn.reward, [1.0, 0.0, -1.0])


def test_costs_nothing_at_a_coefficient_of_0():
  drawn = _make(coefficient=0.0).on_sample(_rows([1.0, 2.0]), jnp.array([1.0, 9.0]))
  np.testing.assert_array_equal(drawn.reward, [1.0, 2.0])


@pytest.mark.parametrize("field", ["coefficient", "free"])
def test_negative_numbers_are_refused(field):
  with pytest.raises(ValueError, match=f"weighting.{field}: must be 0 or more"):
    _make(**{field: -1.0})
