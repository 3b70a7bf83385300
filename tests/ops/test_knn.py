import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops import knn


def test_distances_by_hand():
  bank = jnp.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
  queries = jnp.array([[0.0, 0.0], [6.0, 9.0]])
  got = knn.nearest_distances(queries, bank, 2)
  np.testing.assert_allclose(got, [[0, 5], [1, np.sqrt(9 + 25)]], rtol=1e-6)


def _all_distances(queries, bank):
  """In float64."""
  apart = np.asarray(queries, np.float64)[:, None] - np.asarray(bank, np.float64)
  return np.sort(np.sqrt((apart**2).sum(-1)), -1)


@pytest.mark.parametrize(("num", "points"), [(7, 5), (50, 8), (33, 100)])
def test_pieces_of_any_size_are_the_whole(monkeypatch, num, points):
  """More queries than are searched at a time, and banks that no piece divides."""
  monkeypatch.setattr(knn, "_QUERIES", 16)
  monkeypatch.setattr(knn, "_POINTS", 8)
  keys = jax.random.split(jax.random.key(num), 2)
  queries = jax.random.normal(keys[0], (num, 6))
  bank = jax.random.normal(keys[1], (points, 6))
  for k in (1, 3, 5):
    got = jax.jit(knn.nearest_distances, static_argnums=2)(queries, bank, k)
    expected = _all_distances(queries, bank)[:, :k]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_points_of_the_bank_are_at_distance_0():
  """Far from the origin, where products of float32 give negative squares."""
  bank = 10 + jax.random.normal(jax.random.key(0), (300, 64))
  by_product = (bank**2).sum(-1)[:, None] - 2 * bank @ bank.T + (bank**2).sum(-1)[None]
  assert jnp.diagonal(by_product).min() < 0
  assert not knn.nearest_distances(bank, bank, 1).any()
  near = bank + 1e-3 * jax.random.normal(jax.random.key(1), bank.shape)
  got = knn.nearest_distances(near, bank, 1)
  np.testing.assert_allclose(got, _all_distances(near, bank)[:, :1], rtol=1e-4)


def test_a_bank_of_too_few_points_is_refused():
  with pytest.raises(ValueError, match="k: must be at most the bank's 3 points, got 4"):
    knn.nearest_distances(jnp.zeros((2, 1)), jnp.zeros((3, 1)), 4)
