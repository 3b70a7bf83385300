"""Gumbel MuZero's search (Danihelka et al., ICLR 2022) of mctx, among joint actions."""

from typing import Any

import jax
import jax.numpy as jnp

from logo_jax.search import sampled
from logo_jax.search.sampled import Foreseen, Model, Propose, Searched, TreeConfig

_NEVER = -1e9  # logit of a joint action that was drawn before


def library() -> Any:
  """The module mctx.

  Raises:
    ImportError: it is not installed; names the extra that brings it.
  """
  try:
    import mctx
  except ImportError as error:
    raise ImportError(
      "search='gumbel' needs mctx: pip install 'logo_jax[search]'"
    ) from error
  return mctx


def gumbel(  # noqa: PLR0913  as `sampled.tree`
  root: Foreseen,
  action: jax.Array,
  model: Model,
  propose: Propose,
  config: TreeConfig,
  key: jax.Array,
) -> Searched:
  """The same as `sampled.tree`, with mctx's search; `rho` and `decay` are not used.

  The actions that mctx knows are the places of K joint actions, which are part of what
  it keeps of a node. Shares are those of the improved policy, not of visits.
  """
  mctx = library()

  def one(x: Any) -> Any:
    return jax.tree.map(lambda y: y[None], x)

  def logits(drawn: jax.Array) -> jax.Array:
    share = sampled.shares(drawn)
    return jnp.where(share > 0, jnp.log(jnp.maximum(share, 1e-9)), _NEVER)

  def recurrent(params: Any, key: jax.Array, slot: jax.Array, node: Any) -> Any:
    del params
    latent, drawn = jax.tree.map(lambda x: x[0], node)
    after = model(latent, drawn[slot[0]])
    proposed = propose(after, key)
    seen = mctx.RecurrentFnOutput(
      reward=after.reward[None],
      discount=after.discount[None],
      prior_logits=logits(proposed)[None],
      value=after.value[None],
    )
    return seen, one((after.latent, proposed))

  first = mctx.RootFnOutput(
    prior_logits=logits(action)[None],
    value=root.value[None],
    embedding=one((root.latent, action)),
  )
  share = sampled.shares(action)
  found = mctx.gumbel_muzero_policy(
    *((), key, first, recurrent, config.num_simulations),
    invalid_actions=(share == 0)[None],
    max_depth=config.max_depth,
  )
  known = found.search_tree.summary()
  weights = found.action_weights[0]
  preference = jnp.where(jnp.arange(len(weights)) == found.action[0], 1.0, -jnp.inf)
  return Searched(action, weights, known.qvalues[0], known.value[0], preference)
