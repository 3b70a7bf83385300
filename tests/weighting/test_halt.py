import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops.standardise import moments
from logo_jax.types import Statistics, Transition
from logo_jax.weighting import halt


def _make(return_range=(0.0, 6.0), **fields):
  # Rewards -1 and 3: deviation 2, least -1.
  reward = moments(np.array([-1.0, 3.0]))
  statistics = Statistics(reward, reward, reward, return_range)
  return halt.make(halt.Config(**fields), statistics)


def _rows():
  none = jnp.zeros(3)
  return Transition(*[none] * 4, none + 1.5, jnp.full(3, 0.9), *[none] * 3)


def test_halts_above_the_threshold_by_hand():
  """There: the least reward less kappa and no future; the row itself is kept."""
  weighting = _make(threshold=2.0, kappa=4.0)
  stored, valid = weighting.on_store(_rows(), jnp.array([0.0, 2.0, 2.1]))
  np.testing.assert_allclose(stored.reward, [1.5, 1.5, -5.0])
  np.testing.assert_allclose(stored.discount, [0.9, 0.9, 0.0])
  assert stored.reward.dtype == stored.discount.dtype == jnp.float32
  assert valid.dtype == bool and valid.all()
  assert weighting.on_sample(stored, jnp.zeros(3)) is stored
  np.testing.assert_array_equal(weighting.log_weight(jnp.zeros(3)), 0.0)
  assert weighting.return_loss == 5.0  # from 0, the least return, to -5


@pytest.mark.parametrize(
  ("return_range", "kappa"),
  [((0.0, 6.0), 6.0), ((-500.0, 6000.0), 200.0)],
  ids=["the range of returns", "100 deviations of the reward"],
)
def test_the_default_cost_by_hand(return_range, kappa):
  stored, _ = _make(return_range).on_store(_rows(), jnp.full(3, 1.5))
  np.testing.assert_allclose(stored.reward, -1.0 - kappa)


@pytest.mark.parametrize("field", ["threshold", "kappa"])
def test_negative_numbers_are_refused(field):
  with pytest.raises(ValueError, match=f"weighting.{field}: must be 0 or more, got -1"):
    _make(**{field: -1.0})
