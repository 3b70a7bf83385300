"""Recurrent state-space models of several agents that exchange messages.

As in MAMBA (Egorov & Shpilman, 2022), which is DreamerV2's model (Hafner et al., 2021)
for each agent, of shared parameters, with attention across agents before its memory.
Layer sizes are the published code's for StarCraft. Layers begin as this library's
others do, and attention has no dropout.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.networks.attention import attention_layers
from logo_jax.networks.mlp import MLP, apply
from logo_jax.ops import latents
from logo_jax.types import Params


class Sizes(NamedTuple):
  """Static choices of all networks."""

  hidden_size: int = 256  # units, those of an agent's memory too
  num_categoricals: int = 32  # K
  num_classes: int = 32  # C
  num_layers: int = 3  # of attention across agents
  num_heads: int = 8
  dtype: Any = "float32"


class Belief(NamedTuple):
  """What each agent's model knows at a step."""

  sample: jax.Array  # z_t, one-hot samples [*b, N, F], F = K * C
  memory: jax.Array  # h_t, [*b, N, H], of what was before

  def features(self) -> jax.Array:
    """[z_t, h_t], what heads read."""
    return jnp.concatenate(self, -1)

  @classmethod
  def from_features(cls, features: jax.Array, memory_size: int) -> "Belief":
    """The inverse of `features`."""
    return cls(*jnp.split(features, [features.shape[-1] - memory_size], -1))


class Filtered(NamedTuple):
  """What observations came to, step by step; axes [*b, T, N, ...]."""

  belief: Belief
  prior: jax.Array  # logits [..., K, C], without the step's observation
  posterior: jax.Array  # logits, with it
  next_memory: jax.Array  # h_{t+1}: it knows a_t, and nothing of what came of it

  def change(self) -> jax.Array:
    """[z_t, h_{t+1}], what heads read of the step from t to t + 1."""
    return jnp.concatenate([self.belief.sample, self.next_memory], -1)


def agent_encoding(agent: np.ndarray | jax.Array, size: int) -> jax.Array:
  """Sines and cosines of agents' numbers [N], [N, F] (Vaswani et al., 2017)."""
  rate = np.exp(-np.log(1e4) * (np.arange(size) // 2 * 2) / size).astype(np.float32)
  angle = jnp.asarray(agent, jnp.float32)[:, None] * rate[None]
  return jnp.where(np.arange(size)[None] % 2 == 0, jnp.sin(angle), jnp.cos(angle))


class Communication(nn.Module):
  """Attention among the agents of [*b, N, H], which their numbers tell apart."""

  num_layers: int
  num_heads: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array, agent: jax.Array) -> jax.Array:
    encoding = agent_encoding(agent, x.shape[-1]).astype(x.dtype)
    x = x + encoding.reshape(*[1] * (x.ndim - 2), *encoding.shape)
    return attention_layers(x, self.num_layers, self.num_heads, self.dtype)


class Transition(nn.Module):
  """From (z_t, h_t, a_t) to h_{t+1}: [*b, N, ...] to [*b, N, H]."""

  sizes: Sizes

  @nn.compact
  def __call__(self, belief: Belief, action: jax.Array, agent: jax.Array) -> jax.Array:
    s = self.sizes
    x = jnp.concatenate([action, belief.sample], -1)
    x = nn.relu(nn.Dense(s.hidden_size, dtype=s.dtype)(x))
    x = Communication(s.num_layers, s.num_heads, s.dtype)(x, agent)
    memory, _ = nn.GRUCell(s.hidden_size, dtype=s.dtype)(belief.memory, x)
    return memory.astype("float32")


class RSSM:
  """The recurrent part: what agents come to believe."""

  def __init__(self, sizes: Sizes, num_agents: int, obs_dim: int, action_dim: int):
    h, dtype = sizes.hidden_size, sizes.dtype
    self._sizes, self._num_agents = sizes, num_agents
    self._latent = sizes.num_categoricals * sizes.num_classes
    self._action_dim, self._obs_dim = action_dim, obs_dim
    self._transition = Transition(sizes)
    self._nets = {
      "encoder": MLP((h, h, h, h), dtype),
      "prior": MLP((h, self._latent), dtype),
      "posterior": MLP((h, self._latent), dtype),
    }

  def init(self, key: jax.Array) -> Params:
    n, h = self._num_agents, self._sizes.hidden_size
    sizes = {"encoder": self._obs_dim, "prior": h, "posterior": 2 * h}
    k_transition, *keys = jax.random.split(key, 1 + len(sizes))
    params = {
      name: self._nets[name].init(k, jnp.zeros((n, size)))
      for k, (name, size) in zip(keys, sizes.items(), strict=True)
    }
    params["transition"] = self._transition.init(
      k_transition, *self.nothing(), jnp.arange(n)
    )
    return params

  def nothing(self, batch: tuple[int, ...] = ()) -> tuple[Belief, jax.Array]:
    """Before an episode nothing was believed, and nothing done; see `advance`."""
    sizes = self._latent, self._sizes.hidden_size, self._action_dim
    sample, memory, action = (
      jnp.zeros((*batch, self._num_agents, size)) for size in sizes
    )
    return Belief(sample, memory), action

  def advance(
    self,
    params: Params,
    belief: Belief,
    action: jax.Array,
    agent: jax.Array | None = None,
  ) -> jax.Array:
    """h_{t+1} from what is believed at t and the encoded actions [*b, N, A].

    Args:
      params: of all networks.
      belief: at t.
      action: a_t.
      agent: the agents' numbers [N]; in their order if not given.
    """
    agent = jnp.arange(self._num_agents) if agent is None else agent
    return apply(self._transition, params["transition"], belief, action, agent)

  def first_memory(self, params: Params) -> jax.Array:
    """h_0 of any episode, [N, H]: nothing was, and nothing was done."""
    return self.advance(params, *self.nothing())

  def observe(
    self, params: Params, memory: jax.Array, obs: jax.Array, key: jax.Array | None
  ) -> Belief:
    """What standardised observations [*b, N, O] come to, beside h_t; see `filter`."""
    seen = apply(self._nets["encoder"], params["encoder"], obs)
    return Belief(draw(self.posterior(params, memory, seen), key), memory)

  def prior(self, params: Params, memory: jax.Array) -> jax.Array:
    """Logits [*b, N, K, C] of z_t, from h_t."""
    return self._logits(params, "prior", memory)

  def posterior(self, params: Params, memory: jax.Array, seen: jax.Array) -> jax.Array:
    """Logits [*b, N, K, C] of z_t, from h_t and the embedded observations."""
    return self._logits(params, "posterior", jnp.concatenate([memory, seen], -1))

  def _logits(self, params: Params, name: str, x: jax.Array) -> jax.Array:
    out = apply(self._nets[name], params[name], x)
    shape = self._sizes.num_categoricals, self._sizes.num_classes
    return out.reshape(*out.shape[:-1], *shape)

  def filter(
    self,
    params: Params,
    obs: jax.Array,
    action: jax.Array,
    fresh: jax.Array,
    key: jax.Array | None,
  ) -> Filtered:
    """Follows what was observed and done, from the start of a window on.

    Args:
      params: of all networks.
      obs: standardised observations [B, T, N, O].
      action: encoded actions [B, T, N, A]; the last ones reach `next_memory` alone.
      fresh: bool [B, T], before these steps all is forgotten; so it is before the
        first one.
      key: of the samples; None takes the likeliest classes.
    """
    first = jnp.broadcast_to(
      self.first_memory(params)[None],
      (len(obs), self._num_agents, self._sizes.hidden_size),
    )
    seen = apply(self._nets["encoder"], params["encoder"], obs)

    def step(memory: jax.Array, now: tuple) -> tuple[jax.Array, Filtered]:
      seen, action, fresh, count = now
      memory = jnp.where(fresh[:, None, None], first, memory)
      prior = self.prior(params, memory)
      posterior = self.posterior(params, memory, seen)
      own = None if key is None else jax.random.fold_in(key, count)
      belief = Belief(draw(posterior, own), memory)
      memory = self.advance(params, belief, action)
      return memory, Filtered(belief, prior, posterior, memory)

    by_time = [x.swapaxes(0, 1) for x in (seen, action, fresh)]
    _, found = jax.lax.scan(step, first, (*by_time, jnp.arange(obs.shape[1])))
    return jax.tree.map(lambda x: x.swapaxes(0, 1), found)


def draw(logits: jax.Array, key: jax.Array | None) -> jax.Array:
  """Samples, or without a key the likeliest classes."""
  return latents.mode(logits) if key is None else latents.draw(logits, key)
