import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.replay import ring
from logo_jax.types import Rows


def _collection(value: float, size: int = 4) -> ring.Collection:
  full = jnp.full((size,), value)
  rows = Rows(
    obs=jnp.full((size, 2, 3), value),
    state=jnp.full((size, 5), value),
    legal=jnp.ones((size, 2, 2), bool),
    action=jnp.full((size, 2), int(value), jnp.int32),
    reward=full,
    discount=full,
  )
  return ring.Collection(rows, score=full, valid=jnp.ones(size, bool))


def test_first_in_first_out():
  state = ring.init(_collection(0.0), num_blocks=3)
  assert not state.content.valid.any()
  write = jax.jit(ring.write, donate_argnums=0)
  for value in (1.0, 2.0):
    state = write(state, _collection(value))
  np.testing.assert_array_equal(state.content.score, [1] * 4 + [2] * 4 + [0] * 4)
  assert state.content.valid.sum() == 8
  for value in (3.0, 4.0):
    state = write(state, _collection(value))
  np.testing.assert_array_equal(state.content.score, [4] * 4 + [2] * 4 + [3] * 4)
  np.testing.assert_array_equal(
    state.content.rows.action[:, 0], [4] * 4 + [2] * 4 + [3] * 4
  )
  assert state.count == 4
