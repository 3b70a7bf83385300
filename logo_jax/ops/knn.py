"""Nearest neighbours by brute force, in pieces that fit anywhere."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_QUERIES = 256  # searched at a time
_POINTS = 4_096  # of the bank, looked at together


def nearest_distances(
  queries: Float[Array, "Q D"], bank: Float[Array, "K D"], k: int
) -> Float[Array, "Q k"]:
  """Euclidean distances from each query to its `k` nearest points, ascending.

  Neighbours are found by |x|^2 - 2 qx, a matrix product; of near duplicates it is off
  by more than their distance and may be negative. So the distances of the winners are
  computed anew from differences: that of a query which is in the bank is exactly 0.

  Args:
    queries: any number.
    bank: at least `k` points.
    k: neighbours.

  Raises:
    ValueError: the bank has fewer than `k` points.
  """
  if bank.shape[0] < k:
    raise ValueError(f"k: must be at most the bank's {bank.shape[0]} points, got {k}")
  pieces = _pieces(bank)

  def one(query: Float[Array, " D"]) -> Float[Array, " k"]:
    found = bank[_nearest(query, pieces, k)]
    return jnp.sort(jnp.sqrt(jnp.sum((found - query[None]) ** 2, -1)))

  return jax.lax.map(one, queries, batch_size=_QUERIES)


def _pieces(bank: jax.Array) -> tuple[jax.Array, jax.Array]:
  """The bank, [C, P, D], and squared norms, [C, P]; what fills it up is at infinity."""
  size = min(_POINTS, bank.shape[0])
  missing = -bank.shape[0] % size
  norms = jnp.pad(jnp.sum(bank**2, -1), (0, missing), constant_values=jnp.inf)
  points = jnp.pad(bank, ((0, missing), (0, 0)))
  return points.reshape(-1, size, bank.shape[-1]), norms.reshape(-1, size)


def _nearest(
  query: jax.Array, pieces: tuple[jax.Array, jax.Array], k: int
) -> Int[Array, " k"]:
  """Rows of the nearest points, with a running list of the best."""
  points, norms = pieces
  size = norms.shape[1]

  def look(best, piece):
    x, norm, first = piece
    # Less |q|^2, which is the same for all points.
    distance = norm - 2 * jnp.dot(x, query, precision="highest")
    low, place = jax.lax.top_k(-distance, min(k, size))
    low, row = (
      jnp.concatenate([best[0], low]),
      jnp.concatenate([best[1], first + place]),
    )
    low, place = jax.lax.top_k(low, k)
    return (low, row[place]), None

  none = jnp.full(k, -jnp.inf), jnp.zeros(k, jnp.int32)
  firsts = jnp.arange(len(points), dtype=jnp.int32) * size
  (_, rows), _ = jax.lax.scan(look, none, (points, norms, firsts))
  return rows
