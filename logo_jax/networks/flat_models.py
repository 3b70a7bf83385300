"""The networks of world models that read flat vectors: multilayer perceptrons.

States are tokens `[*b, 1, S]` here and observations `[*b, N, 1, O]`, in standardised
units; where an observation is padding it is 0.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.networks.local_encoder import LocalEncoder
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.now import Now
from logo_jax.networks.per_agent import PerAgent, per_agent
from logo_jax.types import EnvSpec, Params


def flat(x: jax.Array, axes: int = 2) -> jax.Array:
  """The last `axes` axes as one."""
  return x.reshape(*x.shape[:-axes], -1)


def join(*parts: jax.Array) -> jax.Array:
  return jnp.concatenate(parts, -1)


class Sizes(NamedTuple):
  """Static choices; see the fields of the same names in the models' `Config`."""

  hidden_size: int
  dtype: Any = "float32"
  # Of LOGO alone.
  deduce_from_obs_alone: bool = False
  local_sees_joint_action: bool = True
  share_local: bool = False
  reconstructs: bool = False
  encodes: bool = True


class _Heads:
  """What follows from the next step, alike in all models."""

  def __init__(self, sizes: Sizes, spec: EnvSpec, state: Codec, obs: Codec):
    self._sizes, self._spec, self._state, self._obs = sizes, spec, state, obs
    h, dtype = sizes.hidden_size, sizes.dtype
    self._legal = self._local(MLP((h, spec.action_dim), dtype))
    self._termination = MLP((h, 1), dtype)
    self._reward = MLP((h, h, 1), dtype)

  def _local(self, module: nn.Module) -> PerAgent:
    return per_agent(module, self._spec.num_agents, self._sizes.share_local)

  def _example(self) -> Now:
    n, o, s = self._spec.num_agents, self._spec.obs_dim, self._spec.state_dim
    return Now(
      Tokens(jnp.zeros((n, 1, o)), jnp.ones((n, 1))),
      Tokens(jnp.zeros((1, s)), jnp.ones(1)),
      jnp.zeros((n, self._spec.action_dim)),
      jnp.zeros(()),
    )

  def _init_heads(self, key: jax.Array, now: Now) -> dict[str, Params]:
    k_legal, k_termination = jax.random.split(key)
    x = self._termination_input(now.state, now)
    params = {"termination": self._termination.init(k_termination, x)}
    if self._spec.action_kind == "discrete":
      params["legal"] = self._legal.init(k_legal, now.obs.values[..., 0, :])
    return params

  def _joint(self, now: Now) -> jax.Array:
    """State, observations and actions."""
    state, obs = now.state.values, now.obs.values
    return join(flat(state), flat(obs, 3), flat(now.action))

  def _termination_input(self, next_state: Tokens, now: Now) -> jax.Array:
    after, before = next_state.values[..., 0, :], now.state.values[..., 0, :]
    return join(after, before, flat(now.action))

  def legal(self, params: Params, next_obs: Tokens) -> jax.Array:
    """Logits of which actions will be legal, [*b, N, A], from the next observations."""
    return self._legal.apply(params["legal"], next_obs.values[..., 0, :])

  def termination(self, params: Params, next_state: Tokens, now: Now) -> jax.Array:
    """Logit of the end of the episode, [*b]."""
    x = self._termination_input(next_state, now)
    return apply(self._termination, params["termination"], x)[..., 0]

  def reward(
    self, params: Params, next_obs: Tokens, next_state: Tokens, now: Now
  ) -> jax.Array:
    """The standardised reward of getting to a state, [*b]."""
    del next_obs
    x = self._reward_input(next_state, now)
    return apply(self._reward, params["reward"], x)[..., 0]

  def _reward_input(self, next_state: Tokens, now: Now) -> jax.Array:
    return join(next_state.values[..., 0, :], self._joint(now))


class DirectNetworks(_Heads):
  """The paths of a direct model."""

  def __init__(self, sizes: Sizes, spec: EnvSpec, state: Codec, obs: Codec):
    super().__init__(sizes, spec, state, obs)
    h, dtype = sizes.hidden_size, sizes.dtype
    self._trunk = MLP((h, h), dtype)
    self._to_state = MLP((h, state.output_size), dtype)
    self._to_obs = MLP((h, spec.num_agents * obs.output_size), dtype)

  def init(self, key: jax.Array) -> Params:
    """Parameters of all networks."""
    now = self._example()
    k_heads, k_trunk, k_state, k_obs, k_reward = jax.random.split(key, 5)
    h = jnp.zeros(self._sizes.hidden_size)
    return {
      **self._init_heads(k_heads, now),
      "trunk": self._trunk.init(k_trunk, self._joint(now)),
      "state": self._to_state.init(k_state, h),
      "obs": self._to_obs.init(k_obs, h),
      "reward": self._reward.init(k_reward, self._reward_input(now.state, now)),
    }

  def trunk(self, params: Params, now: Now) -> jax.Array:
    """What state and observations are said from, [*b, H]."""
    return nn.relu(apply(self._trunk, params["trunk"], self._joint(now)))

  def state(self, params: Params, embedding: jax.Array, now: Now) -> jax.Array:
    """Says the next state, [*b, 1, R]."""
    del now
    return apply(self._to_state, params["state"], embedding)[..., None, :]

  def obs(self, params: Params, embedding: jax.Array, now: Now) -> jax.Array:
    """Says the next observations, [*b, N, 1, R]."""
    out = apply(self._to_obs, params["obs"], embedding)
    return out.reshape(*now.action.shape[:-1], 1, self._obs.output_size)


class LocalToGlobal(_Heads):
  """The paths of Fig. 2 (LOGO, AAMAS 2026): encoders E and decoders R."""

  def __init__(
    self, sizes: Sizes, spec: EnvSpec, state: Codec, obs: Codec, point: Codec
  ):
    super().__init__(sizes, spec, state, obs)
    n, o, s, a = spec.num_agents, spec.obs_dim, spec.state_dim, spec.action_dim
    h, dtype = sizes.hidden_size, sizes.dtype
    self._point = point
    self._predict = self._local(LocalEncoder(s, h, obs.output_size, dtype))  # E_p
    self._reconstruct = self._local(MLP((h, h, o + a), dtype))  # R_p
    self._encode = MLP((h, h, n * obs.output_size), dtype)  # E_d
    # R_d; its last output is the reward in the literal form, which has no other.
    self._deduce = MLP((h, h, point.output_size + sizes.deduce_from_obs_alone), dtype)
    self._auxiliary = MLP((h, h, state.output_size), dtype)  # E_ps

  def init(self, key: jax.Array) -> Params:
    """Parameters of all networks."""
    now = self._example()
    keys = jax.random.split(key, 7)
    z = now.obs.values[..., 0, :]
    x = self._deduce_input(now.obs, now)
    params = {
      **self._init_heads(keys[0], now),
      "predict": self._predict.init(keys[1], self._local_input(now)),
      "deduce": self._deduce.init(keys[3], x),
      "auxiliary": self._auxiliary.init(keys[4], self._joint(now)),
    }
    if not self._sizes.deduce_from_obs_alone:
      x = self._reward_input(now.state, now)
      params["reward"] = self._reward.init(keys[5], x)
    if self._sizes.encodes:
      x = join(now.state.values[0], jnp.zeros(1))
      params["encode"] = self._encode.init(keys[2], x)
    if self._sizes.reconstructs:
      params["reconstruct"] = self._reconstruct.init(keys[6], z)
    return params

  # What each network reads.

  def _local_input(self, now: Now) -> jax.Array:
    obs = now.obs.values[..., 0, :]

    def for_all(x: jax.Array) -> jax.Array:
      return jnp.broadcast_to(x[..., None, :], (*obs.shape[:-1], x.shape[-1]))

    joint = self._sizes.local_sees_joint_action
    action = for_all(flat(now.action)) if joint else now.action
    return join(for_all(now.state.values[..., 0, :]), obs, action)

  def _deduce_input(self, next_obs: Tokens, now: Now) -> jax.Array:
    said = flat(next_obs.values, 3)
    if self._sizes.deduce_from_obs_alone:
      return said
    return join(said, now.state.values[..., 0, :], flat(now.action))

  # The paths.

  def trunk(self, params: Params, now: Now) -> tuple[()]:
    """Nothing: every network has one of its own."""
    del params, now
    return ()

  def obs(self, params: Params, embedding: Any, now: Now) -> jax.Array:
    """E_p: says the next observations, [*b, N, 1, R]."""
    del embedding
    out = self._predict.apply(params["predict"], self._local_input(now))
    return out[..., None, :]

  def deduce(self, params: Params, next_obs: Tokens, now: Now) -> jax.Array:
    """R_d: says the next state [*b, 1, R] from the joint observation."""
    x = self._deduce_input(next_obs, now)
    out = apply(self._deduce, params["deduce"], x)[..., None, :]
    if self._sizes.deduce_from_obs_alone:  # the state itself, no increment
      return out[..., :-1] - now.state.values
    return out

  def reward(
    self, params: Params, next_obs: Tokens, next_state: Tokens, now: Now
  ) -> jax.Array:
    """The same; in the literal form R_d says it, from the joint observation."""
    if self._sizes.deduce_from_obs_alone:
      x = self._deduce_input(next_obs, now)
      return apply(self._deduce, params["deduce"], x)[..., -1]
    return super().reward(params, next_obs, next_state, now)

  def state(self, params: Params, embedding: Any, now: Now) -> jax.Array:
    """E_ps: says the next state, [*b, 1, R]."""
    del embedding
    out = apply(self._auxiliary, params["auxiliary"], self._joint(now))
    return out[..., None, :]

  def encode(self, params: Params, next_state: Tokens, reward: jax.Array) -> jax.Array:
    """E_d: says the joint observation [*b, N, 1, R] that belongs to a state."""
    x = join(next_state.values[..., 0, :], reward[..., None])
    out = apply(self._encode, params["encode"], x)
    shape = (self._spec.num_agents, 1, self._obs.output_size)
    return out.reshape(*out.shape[:-1], *shape)

  def reconstruct(
    self, params: Params, next_obs: Tokens
  ) -> tuple[jax.Array, jax.Array]:
    """R_p: the observations and encoded actions that led to `next_obs`."""
    out = self._reconstruct.apply(params["reconstruct"], next_obs.values[..., 0, :])
    obs, action = jnp.split(out, [self._spec.obs_dim], -1)
    return jnp.where(self._spec.obs_mask, obs, 0.0), action
