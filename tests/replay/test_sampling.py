import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from logo_jax.replay import sampling


def test_draws_follow_the_weights():
  log_weight = jnp.log(jnp.array([1.0, 2.0, 0.0, 4.0, 1.0]))
  blocks = sampling.block_weights(log_weight)
  drawn = sampling.sample(blocks, 80_000, jax.random.key(0))
  counts = np.bincount(drawn, minlength=5)
  assert counts[2] == 0
  expected = 80_000 * np.array([1, 2, 4, 1]) / 8
  assert stats.chisquare(counts[[0, 1, 3, 4]], expected).pvalue > 0.01


def test_exact_at_two_million_rows():
  """Drawing by bins of equal exact probability, where a flat cumulative sum fails."""
  num_rows, num_bins = 2_000_000, 500
  rng = np.random.default_rng(0)
  log_weight = rng.uniform(0.0, 5.0, num_rows).astype(np.float32)
  log_weight[rng.random(num_rows) < 0.1] = -np.inf
  blocks = jax.jit(sampling.block_weights)(jnp.asarray(log_weight))
  num, keys = 20_000, jax.random.split(jax.random.key(1), 10)
  draw = jax.jit(sampling.sample, static_argnums=1)
  draw = draw.lower(blocks, num, keys[0]).compile()
  # No block is copied, which would take 5,660 bytes a draw.
  assert draw.memory_analysis().temp_size_in_bytes < 200 * num
  drawn = np.concatenate([draw(blocks, key) for key in keys])
  weight = np.exp(log_weight.astype(np.float64))
  assert (weight[drawn] > 0).all()
  # Rows sorted by weight, then binned: an error for light rows cannot hide.
  order = np.argsort(weight)
  edges = np.cumsum(weight[order]) / weight.sum()
  bins = np.empty(num_rows, np.int64)
  bins[order] = np.minimum((edges * num_bins).astype(np.int64), num_bins - 1)
  expected = np.bincount(bins, weight, num_bins) / weight.sum() * len(drawn)
  counts = np.bincount(bins[drawn], minlength=num_bins)
  assert stats.chisquare(counts, expected).pvalue > 0.01
  assert _total_variation(blocks, weight) < 1e-4


def test_a_flat_float32_cumulative_sum_would_fail():
  """What the two levels are for; if this starts to fail they may go."""
  num_rows = 2_000_000
  log_weight = np.random.default_rng(0).uniform(0.0, 5.0, num_rows).astype(np.float32)
  cumulative = np.asarray(jnp.cumsum(jnp.exp(jnp.asarray(log_weight))))
  mass = np.diff(cumulative.astype(np.float64), prepend=0.0)
  exact = np.exp(log_weight.astype(np.float64))
  error = 0.5 * np.abs(mass / mass.sum() - exact / exact.sum()).sum()
  assert error > 1e-3


@pytest.mark.parametrize("num_rows", [1, 2, 10, 17])
def test_any_number_of_rows(num_rows):
  blocks = sampling.block_weights(jnp.zeros(num_rows))
  drawn = sampling.sample(blocks, 200, jax.random.key(2))
  assert set(np.asarray(drawn)) == set(range(num_rows))


def test_huge_log_weights_are_safe():
  blocks = sampling.block_weights(jnp.array([1e4, 1e4 - 1.0, -1e4]))
  np.testing.assert_allclose(
    blocks.rows, [[1.0, 1.0 + np.exp(-1.0)], [0.0, 0.0]], rtol=1e-5
  )


def test_draws_of_low_precision_are_those_of_float32():
  log_weight = jnp.linspace(-3.0, 3.0, 5_000).astype(jnp.bfloat16)
  blocks = sampling.block_weights(log_weight)
  jax.tree.map(
    np.testing.assert_array_equal,
    blocks,
    sampling.block_weights(log_weight.astype(jnp.float32)),
  )
  size = sampling.effective_sample_size(log_weight)
  assert {x.dtype for x in (*blocks, size)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("weight", [[0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0], [0.0] * 5])
def test_rows_of_weight_zero_are_not_drawn_where_others_are(weight):
  blocks = sampling.block_weights(jnp.log(jnp.array(weight)))
  drawn = sampling.sample(blocks, 500, jax.random.key(3))
  assert set(np.asarray(drawn)) == ({1, 4} if any(weight) else {0})


def test_effective_sample_size_by_hand():
  equal = sampling.effective_sample_size(jnp.array([2.0, 2.0, -jnp.inf]))
  np.testing.assert_allclose(equal, 1.0)
  # Weights 1 and 3: (1 + 3)^2 / (2 * (1 + 9)) = 0.8
  unequal = sampling.effective_sample_size(jnp.log(jnp.array([1.0, 3.0, 0.0])))
  np.testing.assert_allclose(unequal, 0.8, rtol=1e-6)
  assert sampling.effective_sample_size(jnp.full(3, -jnp.inf)) == 0.0


def test_share_of_draws_by_hand():
  log_weight = jnp.log(jnp.array([1.0, 3.0, 0.0, 4.0]))
  share = sampling.share(log_weight, jnp.array([True, False, True, True]))
  np.testing.assert_allclose(share, 5 / 8, rtol=1e-6)


def _total_variation(blocks: sampling.BlockWeights, weight: np.ndarray) -> float:
  """Between the float32 law that `sample` draws from and the exact one."""

  def law(cumulative):
    cumulative = cumulative.astype(np.float64)
    return np.diff(cumulative, axis=-1, prepend=0.0) / cumulative[..., -1:]

  block, row = law(np.asarray(blocks.blocks)), law(np.asarray(blocks.rows))
  drawn = (block[:, None] * row).ravel()[: len(weight)]
  return 0.5 * np.abs(drawn - weight / weight.sum()).sum()
