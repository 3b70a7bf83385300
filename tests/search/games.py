"""Small games as models of a search, with exact values or with given ones."""

import jax
import jax.numpy as jnp

from logo_jax.search.sampled import Foreseen

GAMMA = 0.9


def line(length: int, shift: float = 0.0, actions: int = 3):
  """Two agents on a line: 1 is earned where both step to the right (action 2).

  The latent is the cell. Where the cell is even, action 0 is illegal for the first one.
  Values are wrong by a bit that depends on the cell; `shift` is added to all rewards,
  and to values what that comes to for ever.

  Returns:
    The root, a function to step, and one to draw from uniform policies.
  """

  def node(cell: jax.Array, reward: jax.Array) -> Foreseen:
    legal = jnp.ones((2, actions), bool).at[0, 0].set(cell % 2 == 1)
    value = jnp.sin(3.0 * cell) + shift / (1 - GAMMA)
    outputs = jnp.zeros((2, actions))
    return Foreseen(cell, reward + shift, jnp.float32(GAMMA), value, outputs, legal)

  def step(cell: jax.Array, action: jax.Array) -> Foreseen:
    moved = (action == 2).all()
    after = jnp.minimum(cell + moved, length)
    return node(after, moved * 1.0 + 0.1 * action[0])

  def propose(at: Foreseen, key: jax.Array, num: int = 5) -> jax.Array:
    logits = jnp.where(at.legal, at.outputs, -1e9)
    drawn = jax.random.categorical(key, logits, shape=(num, 2))
    return drawn.astype(jnp.int32)

  root = node(jnp.int32(0), jnp.float32(0.0))
  return root, step, propose
