"""How real and imagined rows make a batch.

As long as imagination is not `ready` real rows alone count: those of the batch, with
the weight of all, for what imagined ones have in it is of policies that have hardly
begun to learn.
"""

import jax
import jax.numpy as jnp

from logo_jax.types import Batch, Transition


def batch_of(
  t: Transition, weight: jax.Array | float, real: bool, share: float
) -> Batch:
  """Rows that are all real, or all imagined; `share` is that of real ones anywhere."""
  shape = t.reward.shape
  weights = jnp.broadcast_to(jnp.asarray(weight, jnp.float32), shape)
  return Batch(t, weights, jnp.full(shape, real), jnp.float32(share))


def side_by_side(real: Batch, imagined: Batch, ready: jax.Array) -> Batch:
  """Both, one after the other.

  Args:
    real: with the share of real rows in the whole batch.
    imagined: with the same.
    ready: bool [].
  """
  share = real.real_share
  real, imagined = (b._replace(real_share=()) for b in (real, imagined))
  both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), real, imagined)
  alone = jnp.where(both.real, both.weight / share, 0.0)
  return both._replace(
    weight=jnp.where(ready, both.weight, alone),
    real_share=jnp.where(ready, share, 1.0),
  )


def by_coin(real: Batch, imagined: Batch, coin: jax.Array, ready: jax.Array) -> Batch:
  """One of the two.

  Args:
    real: with the probability of real rows as their share.
    imagined: with the same.
    coin: uniform in [0, 1).
    ready: bool [].
  """
  share = jnp.where(ready, real.real_share, 1.0)
  batch = jax.tree.map(lambda a, b: jnp.where(coin < share, a, b), real, imagined)
  return batch._replace(real_share=share)
