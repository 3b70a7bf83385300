"""Decentralised policies: each agent's network reads that agent's observation alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP
from logo_jax.networks.per_agent import PerAgent, per_agent
from logo_jax.ops import actions
from logo_jax.ops.standardise import Moments, standardise
from logo_jax.types import EnvSpec, Params


class Policy(NamedTuple):
  """Masked categorical policies over raw observations [*b, N, O]."""

  network: PerAgent
  moments: Moments

  def init(self, spec: EnvSpec, key: jax.Array) -> Params:
    return self.network.init(key, jnp.zeros((spec.num_agents, spec.obs_dim)))

  def logits(self, params: Params, obs: jax.Array) -> jax.Array:
    """Unmasked logits [*b, N, A]."""
    return self.network.apply(params, standardise(obs, self.moments))

  def act(
    self,
    params: Params,
    obs: jax.Array,
    legal: jax.Array,
    key: jax.Array,
    greedy: bool = False,
  ) -> jax.Array:
    """Legal actions [*b, N]: sampled, or the likeliest ones."""
    logits = self.logits(params, obs)
    if greedy:
      return actions.greedy(logits, legal)
    return actions.sample(logits, legal, key)


def make_policy(
  spec: EnvSpec, moments: Moments, hidden_size: int, share: bool, dtype: str = "float32"
) -> Policy:
  """Two hidden layers per agent; `share` is one network for all agents."""
  network = MLP((hidden_size, hidden_size, spec.action_dim), dtype)
  return Policy(per_agent(network, spec.num_agents, share), moments)
