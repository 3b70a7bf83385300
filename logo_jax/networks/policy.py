"""Decentralised policies: each agent's network reads that agent's observation alone."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from logo_jax.networks.agent import AgentNetwork, Trunk, make_agent_network
from logo_jax.networks.heads import ActionHead
from logo_jax.ops.standardise import Moments, standardise
from logo_jax.types import Actor, EnvSpec, Observed, Params, Transition


class Policy(NamedTuple):
  """Policies over raw observations [*b, N, O]; with memory, over windows of them."""

  network: AgentNetwork
  head: ActionHead
  moments: Moments

  def init(self, key: jax.Array) -> Params:
    return self.network.init(key)

  def outputs(self, params: Params, obs: jax.Array) -> jax.Array:
    """What the head reads, [*b, N, G]."""
    return self.network.apply(params, standardise(obs, self.moments))

  def outputs_both(self, params: Params, t: Transition) -> tuple[jax.Array, jax.Array]:
    """Outputs at the observations and at the next ones."""
    obs, next_obs = (standardise(x, self.moments) for x in (t.obs, t.next_obs))
    return self.network.apply_both(params, obs, next_obs)

  def imitation(self, params: Params, t: Transition) -> jax.Array:
    """Cost of other actions than the recorded ones, [*b, N]."""
    return self.head.imitation(self.outputs(params, t.obs), t.legal, t.action)

  def actor(
    self, policy_of: Callable[[Params], Params] = lambda params: params
  ) -> Actor:
    """Plays samples, or the likeliest actions.

    Args:
      policy_of: picks the policy's parameters out of a learner's.
    """

    def act(params, carry, now: Observed, key: jax.Array, greedy: bool = False):
      obs = standardise(now.obs, self.moments)
      carry, outputs = self.network.step(policy_of(params), carry, obs)
      if greedy:
        return carry, self.head.mode(outputs, now.legal)
      return carry, self.head.sample(outputs, now.legal, key)[0]

    return Actor(self.network.initial_carry, act)


def make_policy(
  spec: EnvSpec, moments: Moments, head: ActionHead, trunk: Trunk
) -> Policy:
  """One network per agent, or one for all, as the trunk says."""
  network = make_agent_network(spec.num_agents, spec.obs_dim, head.num_outputs, trunk)
  return Policy(network, head, moments)
