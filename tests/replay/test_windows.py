"""Windows of recorded and of imagined rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import draw_starts
from logo_jax.replay import sampling, windows

# Episodes of 2, 1, 3 and 1 transitions, each followed by its final observation.
STARTS = np.array([0, 1, 3, 5, 6, 7, 9], np.int32)
LEFT = np.array([2, 1, 1, 3, 2, 1, 1])


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_windows_end_with_their_episode(length):
  index = windows.draw(jnp.asarray(STARTS), 300, length, jax.random.key(0))
  assert index.shape == (300, length + 1) and index.dtype == jnp.int32
  index, left = np.asarray(index), dict(zip(STARTS, LEFT, strict=True))
  assert set(index[:, 0]) == set(STARTS)
  for rows in index:
    # Row after row, as far as the final observation and no further.
    steps = np.minimum(np.arange(length + 1), left[rows[0]])
    np.testing.assert_array_equal(rows, rows[0] + steps)
  counts = np.asarray(windows.counts(index))
  expected = np.arange(length) < np.array([left[i] for i in index[:, 0]])[:, None]
  np.testing.assert_array_equal(counts, expected)


def test_one_step_is_drawn_like_single_transitions():
  starts = jnp.asarray(STARTS)
  index = windows.draw(starts, 50, 1, jax.random.key(1))
  single = draw_starts(starts, 50, jax.random.key(1))
  np.testing.assert_array_equal(index[:, 0], single)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_the_expected_weight_is_one(length):
  """By enumeration of all starts, with weights of zero or one over the share."""
  share = windows.share_of_starts(STARTS, length)
  index = windows.extend(jnp.asarray(STARTS), jnp.asarray(LEFT), length)
  counted = int(windows.counts(index).sum())
  assert counted == np.minimum(LEFT, length).sum()
  assert counted / share == pytest.approx(len(STARTS) * length, rel=1e-12)


def test_share_of_long_datasets_is_exact():
  """Ten thousand episodes of 200 steps, windows of 20."""
  rows = np.arange(10_000 * 201, dtype=np.int32)
  starts = rows[rows % 201 != 200]
  expected = (20 * 181 + 19 * 20 // 2) / (200 * 20)
  assert windows.share_of_starts(starts, 20) == expected


def test_runs_of_valid_rows():
  valid = jnp.array([1, 1, 1, 0, 1, 0, 0, 1, 1, 0], bool)
  left = windows.left_in_run(valid)
  np.testing.assert_array_equal(left, [3, 2, 1, 0, 1, 0, 0, 2, 1, 0])
  assert left.dtype == jnp.int32
  index = windows.extend(jnp.array([1, 7]), left[jnp.array([1, 7])], 4)
  np.testing.assert_array_equal(index, [[1, 2, 3, 3, 3], [7, 8, 9, 9, 9]])


def test_the_expected_weight_of_weighted_windows_is_one():
  """By enumeration of all rows under the law by which they are drawn."""
  rng = np.random.default_rng(0)
  valid = rng.random(4_001) < 0.8
  valid[-1] = False
  log_weight = np.where(valid, rng.uniform(0, 5, 4_001), -np.inf).astype(np.float32)
  blocks = sampling.block_weights(jnp.asarray(log_weight))
  left = windows.left_in_run(jnp.asarray(valid))
  index = windows.extend(jnp.arange(4_001), left, 6)
  weight = np.exp(log_weight.astype(np.float64))
  share = np.asarray(windows.counts(index)).mean(-1)
  exact = (weight * share).sum() / weight.sum()
  got = jax.jit(windows.share_of_blocks, static_argnums=2)(blocks, left, 6)
  assert float(got) == pytest.approx(exact, rel=1e-6)


def test_nothing_to_draw_is_no_division_by_zero():
  blocks = sampling.block_weights(jnp.full(10, -jnp.inf))
  left = windows.left_in_run(jnp.zeros(10, bool))
  assert 1 / windows.share_of_blocks(blocks, left, 4) == 4.0
