"""Decentralised policies: each agent's network reads that agent's observation alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP
from logo_jax.networks.per_agent import PerAgent, per_agent
from logo_jax.ops import actions, tanh_normal
from logo_jax.ops.gaussian import bound_log_var
from logo_jax.ops.standardise import Moments, standardise
from logo_jax.types import EnvSpec, Params

_LOG_VAR_RANGE = (-10.0, 2.0)  # of continuous actions before squashing


class Policy(NamedTuple):
  """Masked categorical policies over raw observations [*b, N, O]."""

  network: PerAgent
  moments: Moments

  def init(self, spec: EnvSpec, key: jax.Array) -> Params:
    return self.network.init(key, jnp.zeros((spec.num_agents, spec.obs_dim)))

  def logits(self, params: Params, obs: jax.Array) -> jax.Array:
    """Unmasked logits [*b, N, A]."""
    return self.network.apply(params, standardise(obs, self.moments))

  def log_prob(
    self, params: Params, obs: jax.Array, legal: jax.Array, action: jax.Array
  ) -> jax.Array:
    """log pi_i(a_i | o_i), [*b, N]."""
    return actions.log_prob(self.logits(params, obs), legal, action)

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


class ContinuousPolicy(NamedTuple):
  """Squashed normal policies over raw observations [*b, N, O]."""

  network: PerAgent
  moments: Moments

  def init(self, spec: EnvSpec, key: jax.Array) -> Params:
    return self.network.init(key, jnp.zeros((spec.num_agents, spec.obs_dim)))

  def log_prob(
    self, params: Params, obs: jax.Array, legal: jax.Array, action: jax.Array
  ) -> jax.Array:
    """log of the density of a_i given o_i, [*b, N]."""
    del legal
    return tanh_normal.log_prob(action, *self._normal(params, obs))

  def act(
    self,
    params: Params,
    obs: jax.Array,
    legal: jax.Array,
    key: jax.Array,
    greedy: bool = False,
  ) -> jax.Array:
    """Actions [*b, N, A] in [-1, 1]: sampled, or the squashed means."""
    del legal
    mean, log_var = self._normal(params, obs)
    return tanh_normal.mode(mean) if greedy else tanh_normal.sample(mean, log_var, key)

  def _normal(self, params: Params, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
    outputs = self.network.apply(params, standardise(obs, self.moments))
    mean, raw = jnp.split(outputs, 2, axis=-1)
    return mean, bound_log_var(raw, *_LOG_VAR_RANGE)


def make_policy(
  spec: EnvSpec, moments: Moments, hidden_size: int, share: bool, dtype: str = "float32"
) -> Policy:
  """Categorical policies: two hidden layers per agent; `share` is one network for all.

  Raises:
    ValueError: actions are not discrete.
  """
  if spec.action_kind != "discrete":
    raise ValueError(f"action_kind {spec.action_kind!r} must be 'discrete'")
  network = MLP((hidden_size, hidden_size, spec.action_dim), dtype)
  return Policy(per_agent(network, spec.num_agents, share), moments)


def make_any_policy(
  spec: EnvSpec, moments: Moments, hidden_size: int, share: bool, dtype: str = "float32"
) -> Policy | ContinuousPolicy:
  """Like `make_policy`, for either kind of actions."""
  if spec.action_kind == "discrete":
    return make_policy(spec, moments, hidden_size, share, dtype)
  network = MLP((hidden_size, hidden_size, 2 * spec.action_dim), dtype)
  return ContinuousPolicy(per_agent(network, spec.num_agents, share), moments)
