"""Value mixing: monotonic (QMIX, Rashid et al., 2018) and linear."""

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


def counterfactual_mix(
  q: Float[Array, " N"], alternatives: Float[Array, "N A"], weights: MixerWeights
) -> Float[Array, "N A"]:
  """Q_tot when one agent alone deviates from the joint action.

  Entry (i, a) is elu(q W1 + b1 + (alternatives[i, a] - q[i]) W1[i]) . w2 + b2, the
  values Q(s, (a, a_{-i})) of CFCQL (Shao et al., NeurIPS 2023). The first layer is
  summed over the agents once, not once per deviation.

  Args:
    q: [N] utilities of the agents' chosen actions.
    alternatives: [N, A] utilities of the actions an agent could have chosen.
    weights: outputs of the hyper-networks at the state.

  Returns:
    The joint values, [N, A]; those of illegal actions are the caller's to mask.
  """
  chex.assert_rank([q, alternatives], [1, 2])
  chex.assert_equal_shape_prefix([q, alternatives, weights.w1], 1)
  base = q @ weights.w1 + weights.b1
  change = (alternatives - q[:, None])[:, :, None] * weights.w1[:, None, :]
  return jax.nn.elu(base[None, None] + change) @ weights.w2 + weights.b2


def linear_mix(
  q: Float[Array, " N"], weight: Float[Array, " N"], bias: Float[Array, ""]
) -> Float[Array, ""]:
  """Q_tot = sum_i w_i q_i + b (OMIGA, Wang et al., NeurIPS 2023).

  Args:
    q: [N] values of the agents: of their chosen actions, or of their states.
    weight: [N] weights at the state; non-negative for a monotonic joint value.
    bias: [] bias at the state.

  Returns:
    The joint value.
  """
  chex.assert_rank([q, weight, bias], [1, 1, 0])
  chex.assert_equal_shape([q, weight])
  return jnp.dot(weight, q) + bias
