"""The networks of the local-to-global world model (Fig. 2 of LOGO, AAMAS 2026).

Everything here is in standardised units; losses and units are the world model's. Where
an observation is padding (`EnvSpec.obs_mask`) it is 0, on the way in and out.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.local_encoder import LocalEncoder
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.per_agent import PerAgent, per_agent
from logo_jax.ops import gaussian
from logo_jax.types import EnvSpec, Params


class Sizes(NamedTuple):
  """Static choices; see the fields of the same names in `world_models.logo.Config`."""

  hidden_size: int
  deduce_from_obs_alone: bool
  local_sees_joint_action: bool
  share_local: bool
  reconstructs: bool
  dtype: Any


class Step(NamedTuple):
  """What the current step shows the networks."""

  obs: jax.Array  # [*b, N, O]
  state: jax.Array  # [*b, S]
  action: jax.Array  # encoded, [*b, N, A]


class _Modules(NamedTuple):
  """The encoders E and decoders R of the paper, and the heads it leaves out."""

  predict: PerAgent  # E_p
  reconstruct: PerAgent  # R_p
  encode: MLP  # E_d
  deduce: MLP  # R_d; its last output is the reward in the literal form
  reward: MLP  # R_d's reward where it has its own network
  auxiliary: MLP  # E_ps
  legal: PerAgent  # of discrete actions; continuous ones are always legal
  termination: MLP


def _modules(sizes: Sizes, spec: EnvSpec) -> _Modules:
  n, o, s, a = spec.num_agents, spec.obs_dim, spec.state_dim, spec.action_dim
  h, dtype = sizes.hidden_size, sizes.dtype

  def local(module) -> PerAgent:
    return per_agent(module, n, sizes.share_local)

  return _Modules(
    predict=local(LocalEncoder(s, h, 2 * o, dtype)),
    reconstruct=local(MLP((h, h, o + a), dtype)),
    encode=MLP((h, h, 2 * n * o), dtype),
    deduce=MLP((h, h, s + sizes.deduce_from_obs_alone), dtype),
    reward=MLP((h, h, 1), dtype),
    auxiliary=MLP((h, h, 2 * (s + 1)), dtype),
    legal=local(MLP((h, a), dtype)),
    termination=MLP((h, 1), dtype),
  )


def _flat(x: jax.Array) -> jax.Array:
  """[*b, N, F] to [*b, N F]."""
  return x.reshape(*x.shape[:-2], -1)


def _join(*parts: jax.Array) -> jax.Array:
  return jnp.concatenate(parts, -1)


def _mean_and_log_var(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  mean, raw = jnp.split(x, 2, -1)
  return mean, gaussian.bound_log_var(raw)


class LocalToGlobal:
  """The paths of Fig. 2 as pure functions of parameters and standardised inputs."""

  def __init__(self, sizes: Sizes, spec: EnvSpec):
    self._mask = spec.obs_mask
    self._sizes = sizes
    self._spec = spec
    self._modules = _modules(sizes, spec)

  def init(self, key: jax.Array) -> Params:
    n, o, s, a = (
      self._spec.num_agents,
      self._spec.obs_dim,
      self._spec.state_dim,
      self._spec.action_dim,
    )
    z = Step(jnp.zeros((n, o)), jnp.zeros(s), jnp.zeros((n, a)))
    examples = {
      "predict": self._local_input(z),
      "reconstruct": z.obs,
      "encode": jnp.zeros(s + 1),
      "deduce": self._deduce_input(z.obs, z),
      "reward": self._deduce_input(z.obs, z),
      "auxiliary": self._joint_input(z),
      "legal": z.obs,
      "termination": self._termination_input(z.state, z),
    }
    if self._sizes.deduce_from_obs_alone:
      del examples["reward"]
    if not self._sizes.reconstructs:
      del examples["reconstruct"]
    if self._spec.action_kind == "continuous":
      del examples["legal"]
    keys = jax.random.split(key, len(examples))
    return {
      name: getattr(self._modules, name).init(k, x)
      for k, (name, x) in zip(keys, examples.items(), strict=True)
    }

  # What each network reads.

  def _local_input(self, z: Step) -> jax.Array:
    def for_all(x):
      return jnp.broadcast_to(x[..., None, :], (*z.obs.shape[:-1], x.shape[-1]))

    joint = self._sizes.local_sees_joint_action
    action = for_all(_flat(z.action)) if joint else z.action
    return _join(for_all(z.state), z.obs, action)

  def _deduce_input(self, z_next_obs: jax.Array, z: Step) -> jax.Array:
    if self._sizes.deduce_from_obs_alone:
      return _flat(z_next_obs)
    return _join(_flat(z_next_obs), z.state, _flat(z.action))

  def _joint_input(self, z: Step) -> jax.Array:
    return _join(z.state, _flat(z.obs), _flat(z.action))

  def _termination_input(self, z_next_state: jax.Array, z: Step) -> jax.Array:
    return _join(z_next_state, z.state, _flat(z.action))

  def unpadded(self, x: jax.Array) -> jax.Array:
    """`x` [*b, N, O] with zeros where an observation is padding."""
    return jnp.where(self._mask, x, 0.0)

  # The paths of Fig. 2.

  def predict(self, params: Params, z: Step) -> tuple[jax.Array, jax.Array]:
    """E_p: mean and log-variance of the next observations, z_o + an increment."""
    out = self._modules.predict.apply(params["predict"], self._local_input(z))
    increment, log_var = _mean_and_log_var(out)
    return z.obs + self.unpadded(increment), log_var

  def deduce(
    self, params: Params, z_next_obs: jax.Array, z: Step
  ) -> tuple[jax.Array, jax.Array]:
    """R_d: the next state [*b, S] and the reward [*b] from the joint observation."""
    x = self._deduce_input(z_next_obs, z)
    out = apply(self._modules.deduce, params["deduce"], x)
    if self._sizes.deduce_from_obs_alone:
      return out[..., :-1], out[..., -1]
    return z.state + out, apply(self._modules.reward, params["reward"], x)[..., 0]

  def auxiliary(self, params: Params, z: Step) -> tuple[jax.Array, jax.Array]:
    """E_ps: mean and log-variance of (next state, reward), [*b, S + 1]."""
    out = apply(self._modules.auxiliary, params["auxiliary"], self._joint_input(z))
    increment, log_var = _mean_and_log_var(out)
    return increment + _join(z.state, jnp.zeros_like(z.state[..., :1])), log_var

  def reconstruct(
    self, params: Params, z_obs: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """R_p: the observations and encoded actions that led to `z_obs`."""
    out = self._modules.reconstruct.apply(params["reconstruct"], z_obs)
    obs, action = jnp.split(out, [self._spec.obs_dim], -1)
    return self.unpadded(obs), action

  def encode(
    self, params: Params, z_state: jax.Array, z_reward: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """E_d: mean and log-variance of the joint observation, each [*b, N, O]."""
    x = _join(z_state, z_reward[..., None])
    out = apply(self._modules.encode, params["encode"], x)
    shape = (self._spec.num_agents, 2 * self._spec.obs_dim)
    mean, log_var = _mean_and_log_var(out.reshape(*out.shape[:-1], *shape))
    return self.unpadded(mean), log_var

  def legal_logits(self, params: Params, z_next_obs: jax.Array) -> jax.Array:
    """Which actions will be legal, [*b, N, A], from the next observations."""
    return self._modules.legal.apply(params["legal"], z_next_obs)

  def termination_logit(
    self, params: Params, z_next_state: jax.Array, z: Step
  ) -> jax.Array:
    """Whether the step ends the episode, [*b]."""
    x = self._termination_input(z_next_state, z)
    return apply(self._modules.termination, params["termination"], x)[..., 0]
