"""Looking at datasets: the numbers are those worked out by hand."""

import numpy as np
import pytest

from logo_jax import types
from logo_jax.data import inspect
from tests import toys

_START = np.array([0, 3, 5, 8], np.int64)  # episodes of 2, 1 and 2 transitions


def _dataset(obs_sizes=()):
  """Two agents; the third feature of the state never changes."""
  spec = types.EnvSpec("toy/x", 2, 2, 3, "discrete", 2, 5, obs_sizes)
  state = np.array([[0, 0], [1, 9], [2, 0], [0, 0], [2, 1], [0, 0], [1, 9], [4, 4]])
  state = np.concatenate([state, np.full((8, 1), 7)], -1).astype(np.float32)
  obs = np.stack([state[:, :2], -state[:, :2]], 1)
  obs[:, ~types.EnvSpec.obs_mask.fget(spec)] = 0
  action = np.array([[0, 1], [1, 1], [0, 0], [0, 1], [0, 0], [1, 0], [1, 1], [0, 0]])
  rows = types.Rows(
    obs=obs,
    state=state,
    legal=np.ones((8, 2, 2), bool),
    action=action.astype(np.int32),
    reward=np.array([1, 2, 0, -1, 0, 0.5, 0.5, 0], np.float32),
    discount=np.array([1, 0, 1, 1, 1, 1, 1, 1], np.float32),
  )
  return toys.stored(spec, rows, _START)


def test_episodes_and_rewards():
  summary = inspect.summarise(_dataset())
  np.testing.assert_allclose(summary.returns, [3, -1, 1])
  np.testing.assert_array_equal(summary.lengths, [2, 1, 2])
  assert summary.reward_counts.sum() == 5  # final rows pay nothing
  assert (summary.reward_edges[0], summary.reward_edges[-1]) == (-1, 2)


def test_ranges_and_constants():
  state = inspect.summarise(_dataset()).state
  np.testing.assert_array_equal(state.least, [0, 0, 7])
  np.testing.assert_array_equal(state.greatest, [4, 9, 7])
  assert (state.num_constant, state.num_near_constant) == (1, 0)


def test_ranges_over_blocks_are_those_of_all_rows(monkeypatch):
  whole = inspect.summarise(_dataset())
  monkeypatch.setattr(inspect, "_BLOCK", 3)
  for x, y in zip(inspect.summarise(_dataset()), whole, strict=True):
    np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_padding_counts_for_nothing():
  full = inspect.summarise(_dataset()).obs
  np.testing.assert_array_equal(full.least, [-4, -9])
  padded = inspect.summarise(_dataset(obs_sizes=(2, 1))).obs
  np.testing.assert_array_equal(padded.least, [-4, 0])
  np.testing.assert_array_equal(padded.greatest, [4, 9])


def test_padding_of_all_agents_is_a_constant():
  padded = inspect.summarise(_dataset(obs_sizes=(1, 1))).obs
  np.testing.assert_array_equal(padded.least, [-4, 0])
  np.testing.assert_array_equal(padded.greatest, [4, 0])
  assert padded.num_constant == 1


def test_a_rare_value_is_nearly_constant():
  bands = inspect.Bands(*(np.array(x) for x in ([0, 0], [1, 0], [1, 2], [1, 2])))
  assert (bands.num_constant, bands.num_near_constant) == (0, 1)


def test_principal_components_of_a_line():
  """Two features that move as one: the first component has it all."""
  t = np.arange(50.0)
  points, explained = inspect._project(np.stack([t, -3 * t, np.ones(50)], 1))
  np.testing.assert_allclose(explained, [1, 0], atol=1e-12)
  np.testing.assert_allclose(np.abs(points[:, 0]), abs(t - 24.5) / t.std() * 2**0.5)
  np.testing.assert_allclose(points[:, 1], 0, atol=1e-9)


def test_points_know_their_episode():
  summary = inspect.summarise(_dataset())
  np.testing.assert_allclose(summary.point_returns, [3, 3, 3, -1, -1, 1, 1, 1])


def test_one_feature_and_one_value():
  """A dataset without any variance."""
  points, explained = inspect._project(np.ones((5, 1)))
  assert not points.any() and not explained.any()


@pytest.mark.parametrize(
  ("field", "index", "value", "broken"),
  [
    ("obs", (6, 0, 0), np.nan, ["obs has NaN or infinity, row 6"]),
    (
      "discount",
      5,
      0.0,
      ["discount is below 1 before the episode's last transition, row 5"],
    ),
    ("legal", (1, 0, 1), False, ["action is not legal, row 1"]),
    (
      "action",
      (3, 0),
      4,
      ["action is not within 0 and 1, row 3"],
    ),
    (
      "reward",
      4,
      np.inf,
      [
        "reward has NaN or infinity, row 4",
        "reward is not 0 on a final row, where nobody acts, row 4",
      ],
    ),
  ],
)
def test_checks_name_all_that_is_broken(field, index, value, broken):
  stored = _dataset()
  assert all(check.row is None for check in inspect.checks(stored))
  getattr(stored.rows, field)[index] = value
  found = [c for c in inspect.checks(stored) if c.row is not None]
  assert [f"{c.broken}, row {c.row}" for c in found] == broken


def test_a_card_that_says_otherwise():
  summary = inspect.summarise(_dataset())
  card = {"num_transitions": 5, "num_episodes": 4, "return_mean": 1.0}
  assert inspect.disagreements(card, summary) == ["num_episodes is 3, the card says 4"]
