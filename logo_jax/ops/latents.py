"""Discrete latents: vectors of one-hot samples, and what two beliefs differ in.

As in DreamerV2 (Hafner et al., 2021). Logits are [*b, K, C], of K categorical variables
of C classes each.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.ops import actions


def draw(logits: Float[Array, "*b K C"], key: jax.Array) -> Float[Array, "*b F"]:
  """One-hot samples, F = K * C numbers, with the probabilities' gradient."""
  allowed = jnp.ones(logits.shape, bool)
  return _flat(actions.sample_straight_through(logits, allowed, key))


def mode(logits: Float[Array, "*b K C"]) -> Float[Array, "*b F"]:
  """The likeliest classes, one-hot, with the probabilities' gradient."""
  probs = jax.nn.softmax(logits)
  return _flat(actions.straight_through(jnp.argmax(logits, -1), probs))


def balanced_kl(
  posterior: Float[Array, "*b K C"], prior: Float[Array, "*b K C"], balance: float
) -> Float[Array, "*b"]:
  """KL(posterior || prior), a mean over the K variables, that moves mostly the prior.

  `balance` of its gradient is the prior's alone, the rest the posterior's alone (KL
  balancing, Section 2.2 of Hafner et al., 2021).

  Args:
    posterior: logits.
    prior: logits.
    balance: from 0 to 1.
  """
  fixed = jax.lax.stop_gradient
  to_prior = _kl(fixed(posterior), prior)
  to_posterior = _kl(posterior, fixed(prior))
  return balance * to_prior + (1.0 - balance) * to_posterior


def _kl(logits: jax.Array, other: jax.Array) -> jax.Array:
  return actions.kl(logits, other, jnp.ones(logits.shape, bool)).mean(-1)


def _flat(x: jax.Array) -> jax.Array:
  return x.reshape(*x.shape[:-2], -1)
