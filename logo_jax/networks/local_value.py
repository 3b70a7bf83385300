"""Values that each agent has of its own actions, whatever the others do.

Both kinds are H independent heads (axis H first), and one network for all agents, which
then sees an agent's identity, or one for each.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.agent import Trunk
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.per_agent import PerAgent, per_agent
from logo_jax.ops.standardise import standardise
from logo_jax.types import EnvSpec, Params, Statistics


class _Dueling(nn.Module):
  """An advantage of each action plus a value (Wang et al., 2016), without centring."""

  hidden_size: int
  num_actions: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for _ in range(2):
      x = nn.relu(nn.Dense(self.hidden_size, dtype=self.dtype)(x))
    advantage = nn.Dense(self.num_actions, dtype=self.dtype, name="advantage")(x)
    value = nn.Dense(1, dtype=self.dtype, name="value")(x)
    return advantage.astype("float32") + value.astype("float32")


class LocalActionValues(NamedTuple):
  """Values of all discrete actions of each agent, Q_i(s, o_i, .) or Q_i(o_i, .)."""

  network: PerAgent
  num_agents: int
  statistics: Statistics
  num_heads: int
  reads_state: bool

  def init(self, key: jax.Array) -> Params:
    """Stacked parameters, head first."""
    obs, state = (
      m.mean.shape[-1] for m in (self.statistics.obs, self.statistics.state)
    )
    x = jnp.zeros((self.num_agents, obs + state * self.reads_state))
    keys = jax.random.split(key, self.num_heads)
    return jax.vmap(lambda k: self.network.init(k, x))(keys)

  def values(self, params: Params, obs: jax.Array, state: jax.Array) -> jax.Array:
    """Values [H, *b, N, A] at raw observations [*b, N, O] and states [*b, S]."""
    x = standardise(obs, self.statistics.obs)
    if self.reads_state:
      state = standardise(state, self.statistics.state)[..., None, :]
      state = jnp.broadcast_to(state, (*x.shape[:-1], state.shape[-1]))
      x = jnp.concatenate([state, x], -1)
    return jax.vmap(self.network.apply, (0, None))(params, x)


class LocalValue(NamedTuple):
  """A perceptron on each agent's observation and its continuous action, Q_i(o_i, a_i).

  A context is the observation's part of the first layer, [H, *b, N, width]: computed
  once, it serves any number of actions.
  """

  spec: EnvSpec
  width: int
  share_agents: bool
  dtype: Any
  statistics: Statistics
  num_heads: int

  @property
  def _modules(self) -> tuple[nn.Dense, nn.Dense, MLP]:
    of_obs = nn.Dense(self.width, dtype=self.dtype)
    of_action = nn.Dense(self.width, use_bias=False, dtype=self.dtype)
    return of_obs, of_action, MLP((self.width, 1), self.dtype)

  @property
  def _layers(self) -> tuple[PerAgent, PerAgent, PerAgent]:
    """The same over agents [*b, N, F]; only the first needs an identity."""
    of_obs, *others = self._modules
    num_agents = self.spec.num_agents
    if not self.share_agents:
      of_action, rest = (per_agent(m, num_agents, share=False) for m in others)
    else:
      of_action, rest = (PerAgent(m.init, functools.partial(apply, m)) for m in others)
    return per_agent(of_obs, num_agents, self.share_agents), of_action, rest

  def init(self, key: jax.Array) -> Params:
    """Stacked parameters, head first."""
    n, (of_obs, of_action, rest) = self.spec.num_agents, self._layers

    def one(key: jax.Array) -> Params:
      k_obs, k_action, k_rest = jax.random.split(key, 3)
      return {
        "obs": of_obs.init(k_obs, jnp.zeros((n, self.spec.obs_dim))),
        "action": of_action.init(k_action, jnp.zeros((n, self.spec.action_dim))),
        "rest": rest.init(k_rest, jnp.zeros((n, self.width))),
      }

    return jax.vmap(one)(jax.random.split(key, self.num_heads))

  def context(self, params: Params, obs: jax.Array) -> jax.Array:
    """Of raw observations [*b, N, O], for actions to be valued in."""
    z = standardise(obs, self.statistics.obs)
    return jax.vmap(self._layers[0].apply, (0, None))(params["obs"], z)

  def values(self, params: Params, context: jax.Array, action: jax.Array) -> jax.Array:
    """Values [H, *k, *b, N] of each agent's own actions, [*k, *b, N, A]."""
    _, of_action, rest = self._layers

    def one(params: Params, context: jax.Array) -> jax.Array:
      first = context + of_action.apply(params["action"], action)
      return rest.apply(params["rest"], nn.relu(first))[..., 0]

    return jax.vmap(one)(params, context)

  def for_each(
    self, fn: Callable[..., Any], params: Params, context: jax.Array, key: jax.Array
  ) -> Any:
    """`fn(score, key)` for each state and agent on its own.

    Args:
      fn: its `score` maps this agent's actions [K, A] to their values [K] by the first
        head in this state.
      params: of all heads.
      context: [H, *b, N, width].
      key: split over states and agents.

    Returns:
      What `fn` returns, with leading axes [*b, N].
    """
    _, of_action, rest = self._modules

    def one(params: Params, context: jax.Array, key: jax.Array) -> Any:
      def score(action: jax.Array) -> jax.Array:
        first = context + apply(of_action, params["action"], action)
        return apply(rest, params["rest"], nn.relu(first))[..., 0]

      return fn(score, key)

    own = {k: jax.tree.map(lambda x: x[0], params[k]) for k in ("action", "rest")}
    mapped = jax.vmap(one, (None if self.share_agents else 0, 0, 0))
    for _ in range(context.ndim - 3):
      mapped = jax.vmap(mapped, (None, 0, 0))
    return mapped(own, context[0], jax.random.split(key, context.shape[1:-1]))


def make_action_values(
  spec: EnvSpec,
  statistics: Statistics,
  trunk: Trunk,
  num_heads: int = 2,
  reads_state: bool = True,
) -> LocalActionValues:
  """Values of discrete actions, with two hidden layers."""
  module = _Dueling(trunk.hidden_size, spec.action_dim, trunk.dtype)
  network = per_agent(module, spec.num_agents, trunk.share_agents)
  return LocalActionValues(network, spec.num_agents, statistics, num_heads, reads_state)


def make_local_value(
  spec: EnvSpec, statistics: Statistics, trunk: Trunk, num_heads: int = 2
) -> LocalValue:
  """The value of continuous actions, with two hidden layers."""
  return LocalValue(
    spec=spec,
    width=trunk.hidden_size,
    share_agents=trunk.share_agents,
    dtype=trunk.dtype,
    statistics=statistics,
    num_heads=num_heads,
  )
