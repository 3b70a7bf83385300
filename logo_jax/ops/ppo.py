"""Proximal policy optimization: the clipped surrogate, and passes over a rollout."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def clipped_gain(
  log_prob: Float[Array, "*b"],
  old_log_prob: Float[Array, "*b"],
  advantage: Float[Array, "*b"],
  clip: float,
) -> Float[Array, "*b"]:
  """min(r A, clip(r, 1 - clip, 1 + clip) A) with r = pi / pi_old.

  Eq. 7 of Schulman et al., "Proximal policy optimization algorithms", 2017; to be
  maximised. No gradient flows once the ratio has left the interval on the side to which
  the advantage drives it.

  Args:
    log_prob: of the recorded actions, under the policy that is learned.
    old_log_prob: of the same, under the policy that acted.
    advantage: of the same.
    clip: half width of the interval of ratios.
  """
  chex.assert_equal_shape([log_prob, old_log_prob, advantage])
  ratio = jnp.exp(log_prob - old_log_prob)
  clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
  return jnp.minimum(ratio * advantage, clipped * advantage)


def standardised_advantage(
  advantage: Float[Array, "*b"], weight: Float[Array, "*b"]
) -> Float[Array, "*b"]:
  """Advantages with weighted mean 0 and deviation 1."""
  total = jnp.maximum(weight.sum(), 1e-6)
  mean = (weight * advantage).sum() / total
  variance = (weight * (advantage - mean) ** 2).sum() / total
  return jax.lax.stop_gradient((advantage - mean) / (jnp.sqrt(variance) + 1e-8))


def passes(
  descend: Callable[[Any, Any], tuple[Any, Any]],
  state: Any,
  samples: Any,
  num_epochs: int,
  num_minibatches: int,
  key: jax.Array,
) -> tuple[Any, Any]:
  """Several passes over the same samples, each in shuffled minibatches.

  Args:
    descend: (state, minibatch) -> (state, metrics).
    state: before.
    samples: tree of [S, ...], S a multiple of the number of minibatches.
    num_epochs: passes.
    num_minibatches: steps of a pass.
    key: of the shuffling.

  Returns:
    The state, and means of the metrics.
  """
  size = jax.tree.leaves(samples)[0].shape[0]

  def epoch(state: Any, index: jax.Array) -> tuple[Any, Any]:
    order = jax.random.permutation(jax.random.fold_in(key, index), size)
    shuffled = jax.tree.map(
      lambda x: x[order].reshape(num_minibatches, -1, *x.shape[1:]), samples
    )
    return jax.lax.scan(descend, state, shuffled)

  state, metrics = jax.lax.scan(epoch, state, jnp.arange(num_epochs))
  return state, jax.tree.map(jnp.mean, metrics)
