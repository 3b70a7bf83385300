"""Centralised value of a joint action: per-agent utilities and a monotonic mixer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.mixer import HyperMixer
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.per_agent import PerAgent, per_agent
from logo_jax.ops.mixing import MixerWeights, monotonic_mix
from logo_jax.ops.standardise import standardise
from logo_jax.types import EnvSpec, Params, Statistics


class MixedValue(NamedTuple):
  """H independent heads of Q_tot(s, o, a) (QMIX, Rashid et al., 2018).

  Utilities and mixer weights are computed once per state; any number of joint actions
  is then valued by `mix` alone.
  """

  utility: PerAgent
  mixer: HyperMixer
  statistics: Statistics
  num_heads: int

  def init(self, spec: EnvSpec, key: jax.Array) -> Params:
    """Stacked parameters, head first."""

    def one(key: jax.Array) -> Params:
      k_utility, k_mixer = jax.random.split(key)
      obs = jnp.zeros((spec.num_agents, spec.obs_dim))
      return {
        "utility": self.utility.init(k_utility, obs),
        "mixer": self.mixer.init(k_mixer, jnp.zeros(spec.state_dim)),
      }

    return jax.vmap(one)(jax.random.split(key, self.num_heads))

  def utilities(
    self, params: Params, obs: jax.Array, state: jax.Array
  ) -> tuple[jax.Array, MixerWeights]:
    """Utilities [H, *b, N, A] and mixer weights [H, *b, ...] of raw inputs."""
    z_obs = standardise(obs, self.statistics.obs)
    z_state = standardise(state, self.statistics.state)

    def one(params: Params):
      utilities = self.utility.apply(params["utility"], z_obs)
      return utilities, apply(self.mixer, params["mixer"], z_state)

    return jax.vmap(one)(params)


def mix(chosen: jax.Array, weights: MixerWeights) -> jax.Array:
  """`monotonic_mix` over all leading axes, which `weights` share: [*b, N] to [*b]."""
  fn = monotonic_mix
  for _ in range(chosen.ndim - 1):
    fn = jax.vmap(fn)
  return fn(chosen, weights)


def make_value(
  spec: EnvSpec,
  statistics: Statistics,
  hidden_size: int,
  share: bool,
  num_heads: int = 2,
  dtype: str = "float32",
) -> MixedValue:
  """Utilities with two hidden layers, the published mixer, `num_heads` of both."""
  network = MLP((hidden_size, hidden_size, spec.action_dim), dtype)
  return MixedValue(
    utility=per_agent(network, spec.num_agents, share),
    mixer=HyperMixer(spec.num_agents, dtype=dtype),
    statistics=statistics,
    num_heads=num_heads,
  )
