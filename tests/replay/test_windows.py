"""Windows of recorded and of imagined rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.replay import windows

# Episodes of 2, 1, 3 and 1 transitions, each followed by its final observation.
STARTS = np.array([0, 1, 3, 5, 6, 7, 9], np.int32)
EPISODE = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3])  # of each row
VALID = np.isin(np.arange(11), STARTS)


def _recorded(anchor, place, length):
  return windows.in_episodes(jnp.asarray(STARTS), anchor, place, length)


def _imagined(anchor, place, length):
  runs = windows.runs_of(jnp.asarray(VALID))
  return windows.in_runs(runs, jnp.asarray(STARTS)[anchor], place, length)


BOTH = pytest.mark.parametrize("cut", [_recorded, _imagined])
LENGTHS = pytest.mark.parametrize("length", [1, 2, 3, 5])


def _all_windows(cut, length):
  """For every anchor in every place: the anchor's row, its place and the window."""
  anchor, place = np.divmod(np.arange(len(STARTS) * length, dtype=np.int32), length)
  index = cut(jnp.asarray(anchor), jnp.asarray(place), length)
  assert index.shape == (len(anchor), length + 1) and index.dtype == jnp.int32
  return STARTS[anchor], place, np.asarray(index)


@BOTH
@LENGTHS
def test_windows_are_cut_to_their_episode_on_both_sides(cut, length):
  for row, place, index in zip(*_all_windows(cut, length), strict=True):
    around = np.arange(row - place, row - place + length)
    around = around[(around >= 0) & (around < 11)]
    steps = around[(EPISODE[around] == EPISODE[row]) & VALID[around]]
    assert row in steps
    # Packed to the front; then what the last step leads to, and no more.
    expected = np.full(length + 1, steps[-1] + 1)
    expected[: len(steps)] = steps
    np.testing.assert_array_equal(index, expected)
    expected = np.arange(length) < len(steps)
    np.testing.assert_array_equal(windows.counts(jnp.asarray(index)), expected)


@BOTH
@LENGTHS
def test_all_steps_weigh_alike(cut, length):
  """By enumeration of all draws, each of which is as likely as any other."""
  _, _, index = _all_windows(cut, length)
  weight = np.asarray(windows.weights(jnp.asarray(index)), np.float64)
  assert ((weight > 0) == windows.counts(jnp.asarray(index))).all()
  np.testing.assert_allclose(weight.mean(-1), 1.0, rtol=1e-6)
  total = np.bincount(index[:, :-1].ravel(), weight.ravel(), 11)
  np.testing.assert_allclose(total[STARTS], length**2, rtol=1e-6)
  assert (total[~VALID] == 0).all()


@LENGTHS
def test_draws_are_uniform(length):
  num = 20_000
  index = windows.draw(jnp.asarray(STARTS), num, length, jax.random.key(0))
  assert index.shape == (num, length + 1) and index.dtype == jnp.int32
  weight = np.asarray(windows.weights(index))
  total = np.bincount(np.ravel(index[:, :-1]), weight.ravel(), 11)
  share = total[STARTS] / (num * length)
  np.testing.assert_allclose(share, 1 / len(STARTS), rtol=0.05)


def test_steps_count_by_the_mean_confidence_of_their_windows():
  """A window is drawn by the sum over its n steps, of which each counts 1 / n."""
  confidence = np.random.default_rng(0).uniform(0.1, 1.0, 11)
  rows, _, index = _all_windows(_imagined, 3)
  weight = confidence[rows, None] * np.asarray(windows.weights(jnp.asarray(index)))
  total = np.bincount(index[:, :-1].ravel(), weight.ravel(), 11)
  expected = np.zeros(11)
  for begin in range(-2, 11):
    around = np.arange(max(begin, 0), min(begin + 3, 11))
    for episode in range(4):
      steps = around[(EPISODE[around] == episode) & VALID[around]]
      if len(steps):
        expected[steps] += 3 * confidence[steps].mean()
  np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_runs_of_valid_rows():
  valid = jnp.array([1, 1, 1, 0, 1, 0, 0, 1, 1, 0], bool)
  first, end = windows.runs_of(valid)
  np.testing.assert_array_equal(first, [0, 0, 0, 3, 4, 5, 6, 7, 7, 9])
  np.testing.assert_array_equal(end, [3, 3, 3, 3, 5, 5, 6, 9, 9, 9])
  assert first.dtype == end.dtype == jnp.int32


def test_nothing_to_draw_weighs_nothing():
  runs = windows.runs_of(jnp.zeros(10, bool))
  index = windows.in_runs(runs, jnp.array([0, 9]), jnp.array([3, 0]), 4)
  np.testing.assert_array_equal(index, [[0] * 5, [9] * 5])
  assert (windows.weights(index) == 0).all()


@pytest.mark.parametrize("length", [1, 2, 4])
def test_what_leads_to_a_row_is_of_its_episode(length):
  anchors = jnp.arange(len(STARTS))
  index = windows.leading_to(jnp.asarray(STARTS), anchors, length)
  assert index.dtype == jnp.int32
  for row, led in zip(STARTS, np.asarray(index), strict=True):
    around = np.arange(row - length + 1, row + 1)
    inside = (around >= 0) & (EPISODE[np.maximum(around, 0)] == EPISODE[row])
    first = np.flatnonzero(EPISODE == EPISODE[row])[0]
    np.testing.assert_array_equal(led, np.where(inside, around, first))
