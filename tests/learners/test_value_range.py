"""The range of values, the scale of rewards, and what is clipped; by hand."""

import math
import types

import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load
from logo_jax.learners.parts import backup, common
from logo_jax.ops.standardise import moments
from logo_jax.types import EnvSpec, LearnerContext, Statistics
from tests import toys

_ONE = moments(np.array([0.0, 1.0]))
_SPEC = EnvSpec("toy/range", 2, 1, 1, "discrete", 3, 25)


def _range(returns, cut_rewards=(0.0, 0.0), return_loss=0.0, **fields):
  statistics = Statistics(_ONE, _ONE, _ONE, returns, cut_rewards)
  context = LearnerContext(_SPEC, statistics, None, return_loss)  # type: ignore
  defaults = {"clip_target": True, "discount": 0.99, "reward_scale": 1.0}
  return backup.value_range(types.SimpleNamespace(**defaults | fields), context)


def test_recordings_to_the_end_bound_values_by_their_returns():
  assert _range((-1.0, 2.0), reward_scale=10.0) == (-10.0, 20.0)
  assert _range((-1.0, 2.0), return_loss=3.0) == (-4.0, 2.0)  # a penalty's
  assert _range((-1.0, 2.0), clip_target=False) is None


@pytest.mark.parametrize(
  ("returns", "rewards", "expected"),
  [
    # 25 steps of rewards 1 to 3 return up to 75; for ever 3 / (1 - 0.99).
    ((0.0, 75.0), (1.0, 3.0), (0.0, 300.0)),
    # What costs can go on costing.
    ((-50.0, 0.0), (-2.0, -1.0), (-200.0, 0.0)),
    # 1000 steps of a robot are more than what is left of rewards for ever.
    ((-20.0, 3_000.0), (-0.1, 5.0), (-20.0, 3_000.0)),
  ],
)
def test_recordings_that_are_cut_go_on(returns, rewards, expected):
  np.testing.assert_allclose(_range(returns, rewards), expected)


def test_without_a_discount_there_is_no_bound():
  assert _range((0.0, 75.0), (0.0, 3.0), discount=1.0) == (0.0, math.inf)


@pytest.mark.parametrize(("loss", "low"), [(0.0, 0.0), (3.0, -3.0), (math.inf, -2.0)])
def test_bounds_of_a_value_leave_room_for_what_weighting_takes(loss, low):
  statistics = Statistics(_ONE, _ONE, _ONE, (0.0, 2.0))
  context = LearnerContext(_SPEC, statistics, None, loss)  # type: ignore
  assert backup.discounted_range(0.99, context) == (low, 2.0)


def test_what_is_outside_is_counted():
  targets = jnp.array([-1.0, -0.01, 5.0, 10.0, 12.0])  # the second is noise
  np.testing.assert_allclose(backup.outside(targets, (0.0, 10.0)), [1, 0, 0, 0, 1])
  np.testing.assert_allclose(backup.outside(targets, None), 0)


@pytest.mark.parametrize(
  ("returns", "scale"),
  [
    ((0.0, 2.0), 10.0),  # SMAX
    ((0.0, 0.84), 10.0),  # one of its maps that nobody wins
    ((0.0, 20.0), 1.0),  # SMAC
    ((-150.0, 0.0), 0.1),  # costs
    ((0.0, 0.0), 1.0),
  ],
)
def test_the_scale_of_rewards_follows_from_returns(returns, scale):
  statistics = Statistics(_ONE, _ONE, _ONE, returns)
  assert common.reward_scale("discrete", statistics) == pytest.approx(scale)
  assert common.reward_scale("continuous", statistics) == 1.0


def test_one_in_twenty_that_is_cut_changes_nothing():
  stored = toys.cut_short(num=20, length=2)
  ends = stored.rows.discount.copy()
  ends[1::3] = 0.0  # the second and last step of every episode
  few, none = ends.copy(), ends
  few[1] = 1.0
  found = {}
  for name, discount in (("none", none), ("few", few), ("all", stored.rows.discount)):
    rows = stored.rows._replace(discount=discount)
    found[name] = load(stored._replace(rows=rows)).statistics.cut_rewards
  assert found["none"] == found["few"] == (0.0, 0.0)
  assert found["all"] == (1.0, 3.0)
