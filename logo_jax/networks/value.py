"""Centralised values of joint actions, for discrete and for continuous ones.

Both are H independent heads (axis H first) and have the same functions. What depends on
the state alone, the "context", is computed once; any number of joint actions is then
valued at the cost of what is left. Actions come encoded (`ops.actions.encode`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.agent import AgentNetwork, Trunk, make_agent_network
from logo_jax.networks.mixer import HyperMixer
from logo_jax.networks.mlp import MLP, apply
from logo_jax.ops.mixing import counterfactual_mix, monotonic_mix
from logo_jax.ops.standardise import standardise
from logo_jax.types import EnvSpec, Params, Statistics, Transition


class JointValue(Protocol):
  """H heads of Q_tot(s, o, a)."""

  def init(self, key: jax.Array) -> Params:
    """Stacked parameters, head first."""
    ...

  def contexts(self, params: Params, t: Transition) -> tuple[Any, Any]:
    """Of the current and of the next state, for actions to be valued in."""
    ...

  def joint(self, params: Params, context: Any, encoded: jax.Array) -> jax.Array:
    """Values [H, *k, *b] of joint actions [*k, *b, N, A], any number per state."""
    ...

  def counterfactual(
    self, params: Params, context: Any, encoded: jax.Array, own: jax.Array
  ) -> jax.Array:
    """Values [H, K, *b, N]: agent i plays `own[k, ..., i]`, the others `encoded`.

    Args:
      params: of the value.
      context: of the state.
      encoded: [*b, N, A], the joint action that one agent at a time leaves.
      own: [K, *b, N, A], what that agent plays instead.
    """
    ...


class MixedValue(NamedTuple):
  """Per-agent utilities of discrete actions, mixed monotonically (QMIX, 2018).

  A context is utilities [H, *b, N, A] and mixer weights [H, *b, ...].
  """

  utility: AgentNetwork
  mixer: HyperMixer
  statistics: Statistics
  num_heads: int

  def init(self, key: jax.Array) -> Params:
    state = jnp.zeros(self.statistics.state.mean.shape)

    def one(key: jax.Array) -> Params:
      k_utility, k_mixer = jax.random.split(key)
      return {
        "utility": self.utility.init(k_utility),
        "mixer": self.mixer.init(k_mixer, state),
      }

    return jax.vmap(one)(jax.random.split(key, self.num_heads))

  def contexts(self, params: Params, t: Transition) -> tuple[Any, Any]:
    obs, next_obs = (standardise(x, self.statistics.obs) for x in (t.obs, t.next_obs))
    states = (standardise(x, self.statistics.state) for x in (t.state, t.next_state))
    state, next_state = states

    def one(params: Params):
      now, after = self.utility.apply_both(params["utility"], obs, next_obs)
      mixer = params["mixer"]
      return (now, apply(self.mixer, mixer, state)), (
        after,
        apply(self.mixer, mixer, next_state),
      )

    return jax.vmap(one)(params)

  def joint(self, params: Params, context: Any, encoded: jax.Array) -> jax.Array:
    del params
    utilities, weights = context
    more = encoded.ndim - utilities.ndim + 1  # axes of *k
    fn = _over_leading(monotonic_mix, utilities.ndim - 2)
    for _ in range(more):  # inmost, so that a state's weights are read once
      fn = jax.vmap(fn, (1, None), 1)
    chosen = jnp.expand_dims(utilities, tuple(range(1, 1 + more))) * encoded
    return fn(chosen.sum(-1), weights)

  def counterfactual(
    self, params: Params, context: Any, encoded: jax.Array, own: jax.Array
  ) -> jax.Array:
    del params
    utilities, weights = context
    chosen = (utilities * encoded).sum(-1)  # [H, *b, N]
    others = jnp.moveaxis((utilities[:, None] * own).sum(-1), 1, -1)  # [H, *b, N, K]
    fn = _over_leading(counterfactual_mix, chosen.ndim - 1)
    return jnp.moveaxis(fn(chosen, others, weights), -1, 1)

  def all_counterfactual(self, context: Any, encoded: jax.Array) -> jax.Array:
    """Values [H, *b, N, A] of each action of each agent, the others as encoded."""
    utilities, weights = context
    chosen = (utilities * encoded).sum(-1)
    fn = _over_leading(counterfactual_mix, chosen.ndim - 1)
    return fn(chosen, utilities, weights)


class CentralValue(NamedTuple):
  """A perceptron on the state and the joint continuous action.

  A context is the state's part of the first layer, [H, *b, width].
  """

  num_agents: int
  action_dim: int
  width: int
  statistics: Statistics
  num_heads: int
  dtype: Any

  @property
  def _modules(self) -> tuple[nn.Dense, nn.Dense, MLP]:
    of_state = nn.Dense(self.width, dtype=self.dtype)
    of_action = nn.Dense(self.width, use_bias=False, dtype=self.dtype)
    return of_state, of_action, MLP((self.width, 1), self.dtype)

  def init(self, key: jax.Array) -> Params:
    of_state, of_action, rest = self._modules

    def one(key: jax.Array) -> Params:
      k_state, k_action, k_rest = jax.random.split(key, 3)
      joint = jnp.zeros(self.num_agents * self.action_dim)
      return {
        "state": of_state.init(k_state, jnp.zeros(self.statistics.state.mean.shape)),
        "action": of_action.init(k_action, joint),
        "rest": rest.init(k_rest, jnp.zeros(self.width)),
      }

    return jax.vmap(one)(jax.random.split(key, self.num_heads))

  def contexts(self, params: Params, t: Transition) -> tuple[Any, Any]:
    of_state, _, _ = self._modules

    def one(params: Params, state: jax.Array) -> jax.Array:
      z = standardise(state, self.statistics.state)
      return apply(of_state, params["state"], z)

    over_heads = jax.vmap(one, (0, None))
    return over_heads(params, t.state), over_heads(params, t.next_state)

  def joint(self, params: Params, context: Any, encoded: jax.Array) -> jax.Array:
    flat = encoded.reshape(*encoded.shape[:-2], -1)

    def one(params: Params, context: jax.Array) -> jax.Array:
      return self._rest(params, context + self._of_action(params, flat))

    return jax.vmap(one)(params, context)

  def counterfactual(
    self, params: Params, context: Any, encoded: jax.Array, own: jax.Array
  ) -> jax.Array:
    flat = encoded.reshape(*encoded.shape[:-2], -1)

    def one(params: Params, context: jax.Array) -> jax.Array:
      kernel = params["action"]["params"]["kernel"]
      kernel = kernel.reshape(self.num_agents, self.action_dim, self.width)
      base = context + self._of_action(params, flat)
      # One agent's action changes the first layer by its own block alone.
      change = jnp.einsum("k...na,naw->k...nw", own - encoded, kernel)
      return self._rest(params, base[..., None, :] + change)

    return jax.vmap(one)(params, context)

  def _of_action(self, params: Params, flat: jax.Array) -> jax.Array:
    return apply(self._modules[1], params["action"], flat)

  def _rest(self, params: Params, first: jax.Array) -> jax.Array:
    return apply(self._modules[2], params["rest"], nn.relu(first))[..., 0]


def make_value(
  spec: EnvSpec, statistics: Statistics, trunk: Trunk, num_heads: int = 2
) -> MixedValue | CentralValue:
  """The value of the spec's kind of actions, with two hidden layers."""
  if spec.action_kind == "discrete":
    return MixedValue(
      utility=make_agent_network(spec.num_agents, spec.obs_dim, spec.action_dim, trunk),
      mixer=HyperMixer(spec.num_agents, dtype=trunk.dtype),
      statistics=statistics,
      num_heads=num_heads,
    )
  return CentralValue(
    num_agents=spec.num_agents,
    action_dim=spec.action_dim,
    width=trunk.hidden_size,
    statistics=statistics,
    num_heads=num_heads,
    dtype=trunk.dtype,
  )


def _over_leading(fn: Callable[..., jax.Array], num_axes: int) -> Callable[..., Any]:
  """`fn` mapped over the leading axes that all of its arguments share."""
  for _ in range(num_axes):
    fn = jax.vmap(fn)
  return fn
