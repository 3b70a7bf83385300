"""Values of a search tree's nodes from the best of what was found below them."""

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Shares of counts that are whole numbers must not be rounded up.
_ROUNDING = 1e-4


def os_lambda(
  returns: Float[Array, " M"],
  depth: Int[Array, " M"],
  below: Bool[Array, " M"],
  rho: float,
  decay: float,
) -> Float[Array, ""]:
  """OS(lambda): an optimistic mean that trusts long looks ahead less.

  Of the m returns at each depth d the max(1, ceil((1 - rho) m)) largest are kept, and
  count lambda^d each. Section 4.2 of Liu et al., "Efficient multi-agent reinforcement
  learning by planning", ICLR 2024. rho = 0 and lambda = 1 is the mean of all.

  Args:
    returns: as seen from the node: rewards on the way to a node below and that one's
      value, discounted.
    depth: of the nodes, relative to this one.
    below: which are this node (depth 0) or below it; there is one.
    rho: share of returns that is dropped.
    decay: lambda.
  """
  chex.assert_rank([returns, depth, below], 1)
  chex.assert_equal_shape([returns, depth, below])
  own, other = (lambda x: x[:, None]), (lambda x: x[None, :])
  peers = own(below) & other(below) & (own(depth) == other(depth))
  index = jnp.arange(returns.shape[0])
  before = (own(returns) == other(returns)) & (own(index) > other(index))
  better = (own(returns) < other(returns)) | before
  rank, num = ((peers & x).sum(-1) for x in (better, peers))
  kept = jnp.ceil((1.0 - rho) * num.astype(returns.dtype) - _ROUNDING)
  counts = below & (rank < jnp.maximum(kept, 1.0).astype(rank.dtype))
  weight = jnp.where(counts, decay ** depth.astype(returns.dtype), 0.0)
  return jnp.where(counts, weight * returns, 0.0).sum() / weight.sum()
