"""Monotonic value mixing (QMIX, Rashid et al., 2018)."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class MixerWeights(NamedTuple):
  """State-dependent weights of the two mixing layers, E units wide."""

  w1: Float[Array, "N E"]  # >= 0
  b1: Float[Array, " E"]
  w2: Float[Array, " E"]  # >= 0
  b2: Float[Array, ""]


def monotonic_mix(q: Float[Array, " N"], weights: MixerWeights) -> Float[Array, ""]:
  """Q_tot = elu(q W1 + b1) . w2 + b2, non-decreasing in every agent's utility.

  Args:
    q: [N] utilities of the agents' chosen actions.
    weights: outputs of the hyper-networks at the state; the same for any joint action,
      so evaluate them once per state.

  Returns:
    The joint value.
  """
  chex.assert_rank(q, 1)
  hidden = jax.nn.elu(q @ weights.w1 + weights.b1)
  return jnp.dot(hidden, weights.w2) + weights.b2
