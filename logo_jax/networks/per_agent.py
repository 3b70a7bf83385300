"""One network per agent: the only place that maps over agents."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import apply
from logo_jax.types import Params


class PerAgent(NamedTuple):
  """`init(key, x)` and `apply(params, x)` for x of shape [*b, N, F]."""

  init: Callable[[jax.Array, jax.Array], Params]
  apply: Callable[[Params, jax.Array], jax.Array]


def per_agent(module: nn.Module, num_agents: int, share: bool) -> PerAgent:
  """Applies `module` to each agent's features.

  Args:
    module: maps [*b, F] to [*b, G].
    num_agents: N.
    share: False, one parameter set per agent (stacked on axis 0); True, one set for
      all, which then also sees the agent's one-hot identity.

  Returns:
    A pair of pure functions on [*b, N, F].
  """
  if share:

    def with_identity(x: jax.Array) -> jax.Array:
      identity = jnp.broadcast_to(
        jnp.eye(num_agents, dtype=x.dtype), (*x.shape[:-1], num_agents)
      )
      return jnp.concatenate([x, identity], -1)

    return PerAgent(
      init=lambda key, x: module.init(key, with_identity(x)),
      apply=lambda params, x: apply(module, params, with_identity(x)),
    )

  def init(key: jax.Array, x: jax.Array) -> Params:
    return jax.vmap(module.init, (0, -2))(jax.random.split(key, num_agents), x)

  def apply_each(params: Params, x: jax.Array) -> jax.Array:
    return jax.vmap(lambda p, own: apply(module, p, own), (0, -2), -2)(params, x)

  return PerAgent(init=init, apply=apply_each)
