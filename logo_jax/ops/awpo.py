"""Advantage-weighted policy optimisation on what a search has looked at.

Section 4.3 of Liu et al., "Efficient multi-agent reinforcement learning by planning",
ICLR 2024.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.ops import ppo


def weights(
  advantage: Float[Array, "*b K"],
  counts: Float[Array, "*b K"],
  temperature: float,
  largest: float,
) -> Float[Array, "*b K"]:
  """min(exp(A / temperature), largest) of standardised advantages.

  Args:
    advantage: of the joint actions looked at, over the value of where they start.
    counts: how much each counts in mean and deviation over all axes; 0 for one that was
      not looked at.
    temperature: in deviations of the batch's advantages.
    largest: bound of the weights.
  """
  chex.assert_equal_shape([advantage, counts])
  a = ppo.standardised_advantage(advantage, counts)
  return jnp.minimum(jnp.exp(a / temperature), largest)


def loss(
  log_prob: Float[Array, "*b K"], target: Float[Array, "*b K"]
) -> Float[Array, "*b"]:
  """- sum_k target_k log pi(a_k): cross entropy of what the search prefers.

  Args:
    log_prob: of joint actions; the sum over agents.
    target: no gradient flows into it; 0 for actions that do not count.
  """
  chex.assert_equal_shape([log_prob, target])
  target = jax.lax.stop_gradient(target)
  return -jnp.where(target > 0, target * log_prob, 0.0).sum(-1)
