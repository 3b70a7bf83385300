"""What latents of a value-equivalent model are turned into: observations and state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.latent_model import Sizes
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.per_agent import per_agent
from logo_jax.types import EnvSpec, Params


class LatentDecoders(NamedTuple):
  """Functions of latents [*b, N, H]; two hidden layers each."""

  spec: EnvSpec
  sizes: Sizes

  def init(self, key: jax.Array) -> Params:
    k_obs, k_state = jax.random.split(key)
    h = jnp.zeros((self.spec.num_agents, self.sizes.hidden))
    return {
      "obs": self._obs.init(k_obs, h),
      "state": self._state.init(k_state, h.ravel()),
    }

  def obs(self, params: Params, h: jax.Array) -> jax.Array:
    """Standardised observations [*b, N, O], an agent's of its own latent."""
    return self._obs.apply(params["obs"], h)

  def state(self, params: Params, h: jax.Array) -> jax.Array:
    """The standardised state [*b, S], of all latents."""
    return apply(self._state, params["state"], h.reshape(*h.shape[:-2], -1))

  @property
  def _obs(self):
    s, spec = self.sizes, self.spec
    net = MLP((s.hidden, s.hidden, spec.obs_dim), s.dtype)
    return per_agent(net, spec.num_agents, s.share_agents)

  @property
  def _state(self) -> MLP:
    s = self.sizes
    return MLP((s.hidden, s.hidden, self.spec.state_dim), s.dtype)
