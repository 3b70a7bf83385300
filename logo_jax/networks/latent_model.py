"""A model that predicts rewards, values and policies, not observations: MAZero's.

Every agent's observation becomes a latent of its own; one step of all of them follows
from what agents are told of each other by attention. What is read off the latents of a
node says what is worth knowing there (Liu et al., "Efficient multi-agent reinforcement
learning by planning", ICLR 2024). An agent's latent and policy at a root depend on its
own observation alone, behind a step they depend on everybody's.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from logo_jax.networks.attention import attention_layers
from logo_jax.networks.heads import ActionHead
from logo_jax.networks.mlp import apply
from logo_jax.networks.per_agent import per_agent
from logo_jax.ops.standardise import Moments, clipped
from logo_jax.types import EnvSpec, Params


class NormedMLP(nn.Module):
  """Layers of Dense, ReLU and LayerNorm, and a linear last one that begins at 0.

  `out` 0: there is no last one.
  """

  hidden: tuple[int, ...]
  out: int = 0
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for size in self.hidden:
      x = nn.LayerNorm(dtype=self.dtype)(nn.relu(nn.Dense(size, dtype=self.dtype)(x)))
    if self.out:
      zeros = nn.initializers.zeros
      x = nn.Dense(self.out, kernel_init=zeros, dtype=self.dtype)(x)
    return x.astype("float32")


class Attention(nn.Module):
  """What each agent is told: layers of attention among [*b, N, F]."""

  size: int
  num_layers: int
  num_heads: int
  dtype: Any = "float32"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.relu(nn.Dense(self.size, dtype=self.dtype)(x))
    x = attention_layers(x, self.num_layers, self.num_heads, self.dtype)
    return x.astype("float32")


class Sizes(NamedTuple):
  """Static choices of the networks."""

  hidden: int  # H, units of a latent and of hidden layers
  bins: int  # M, of values and rewards
  num_layers: int  # of attention
  num_heads: int  # of attention
  share_agents: bool  # one network for all agents with an agent identity
  dtype: Any = "float32"  # of the computation


class LatentModel(NamedTuple):
  """Functions of latents [*b, N, H] and encoded actions [*b, N, A]."""

  spec: EnvSpec
  moments: Moments  # of observations
  head: ActionHead
  sizes: Sizes

  def init(self, key: jax.Array) -> Params:
    obs = jnp.zeros((self.spec.num_agents, self.spec.obs_dim))
    h = jnp.zeros((self.spec.num_agents, self.sizes.hidden))
    x = self._with_actions(h, jnp.zeros((len(h), self.spec.action_dim)))
    told = jnp.concatenate([x, h], -1)
    flat = {"value": h.ravel(), "project": h.ravel(), "predict": h[0]}
    flat |= {"reward": x.ravel(), "goes_on": x.ravel()}
    agents = {"encode": obs, "move": told, "policy": h, "legal": h}
    inputs = agents | {"tell": self._named(x)} | flat
    keys = jax.random.split(key, len(inputs))
    nets = self._nets
    return {
      name: nets[name].init(k, value)
      for k, (name, value) in zip(keys, inputs.items(), strict=True)
    }

  def encode(self, params: Params, obs: jax.Array) -> jax.Array:
    """Latents of observations [*b, N, O]; an agent's is of its own."""
    return self._apply("encode", params, clipped(obs, self.moments))

  def move(self, params: Params, h: jax.Array, action: jax.Array) -> jax.Array:
    """Latents after a joint step."""
    x = self._with_actions(h, action)
    told = self._apply("tell", params, self._named(x))
    return h + self._apply("move", params, jnp.concatenate([x, told], -1))

  def unroll(self, params: Params, first: jax.Array, action: jax.Array) -> jax.Array:
    """Latents [B, U, N, H] behind steps, of which each halves the gradient.

    Args:
      params: of the networks.
      first: [B, N, H] latents of what is observed.
      action: [B, U, N, A] encoded actions.
    """

    def move(h: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
      after = self.move(params, h, action)
      return 0.5 * after + 0.5 * jax.lax.stop_gradient(after), after

    _, after = jax.lax.scan(move, first, jnp.moveaxis(action, 1, 0))
    return jnp.moveaxis(after, 0, 1)

  def distance(self, params: Params, after: jax.Array, seen: jax.Array) -> jax.Array:
    """-cos [*b] between foreseen latents and those of what came, which stay."""
    wanted = jax.lax.stop_gradient(self.project(params, seen))
    foreseen = self.predict(params, self.project(params, after))
    return -optax.cosine_similarity(foreseen, wanted, epsilon=1e-6)

  def reward(self, params: Params, h: jax.Array, action: jax.Array) -> jax.Array:
    """Logits [*b, M] of the reward of a step, from the latents behind it."""
    return self._apply("reward", params, _flat(self._with_actions(h, action)))

  def goes_on(self, params: Params, h: jax.Array, action: jax.Array) -> jax.Array:
    """Logit [*b] of no end behind a step, from the latents there."""
    return self._apply("goes_on", params, _flat(self._with_actions(h, action)))[..., 0]

  def value(self, params: Params, h: jax.Array) -> jax.Array:
    """Logits [*b, M] of the team's value."""
    return self._apply("value", params, _flat(h))

  def policy(self, params: Params, h: jax.Array) -> jax.Array:
    """Outputs [*b, N, G] of the policies; an agent's are of its own latent."""
    return self._apply("policy", params, h)

  def legal(self, params: Params, h: jax.Array) -> jax.Array:
    """Logits [*b, N, A] of what is allowed."""
    return self._apply("legal", params, h)

  def project(self, params: Params, h: jax.Array) -> jax.Array:
    """What latents of the same moment are compared by, [*b, H]."""
    return self._apply("project", params, _flat(h))

  def predict(self, params: Params, projected: jax.Array) -> jax.Array:
    """The projection that is expected where one has been foreseen, [*b, H]."""
    return self._apply("predict", params, projected)

  @property
  def _nets(self) -> dict[str, Any]:
    s, n = self.sizes, self.spec.num_agents
    small = (max(s.hidden // 4, 8),)

    def one(hidden: tuple[int, ...], out: int = 0) -> NormedMLP:
      return NormedMLP(hidden, out, s.dtype)

    def each(hidden: tuple[int, ...], out: int = 0) -> Any:
      return per_agent(one(hidden, out), n, s.share_agents)

    return {
      "encode": each((s.hidden,) * 3),
      "tell": Attention(s.hidden, s.num_layers, s.num_heads, s.dtype),
      "move": each((s.hidden,) * 2, s.hidden),
      "reward": one(small, s.bins),
      "goes_on": one(small, 1),
      "value": one(small, s.bins),
      "policy": each(small, self.head.num_outputs),
      "legal": each(small, self.spec.action_dim),
      "project": one((s.hidden,) * 2),
      "predict": one((max(s.hidden // 2, 8), s.hidden)),
    }

  def _apply(self, name: str, params: Params, x: jax.Array) -> jax.Array:
    net = self._nets[name]
    if isinstance(net, nn.Module):
      return apply(net, params[name], x)
    return net.apply(params[name], x)

  def _named(self, x: jax.Array) -> jax.Array:
    """With each agent's identity, by which attention tells them apart."""
    n = self.spec.num_agents
    identity = jnp.broadcast_to(jnp.eye(n, dtype=x.dtype), (*x.shape[:-1], n))
    return jnp.concatenate([x, identity], -1)

  def _with_actions(self, h: jax.Array, action: jax.Array) -> jax.Array:
    return jnp.concatenate([h, action.astype(h.dtype)], -1)


def _flat(x: jax.Array) -> jax.Array:
  """All agents' features side by side."""
  return x.reshape(*x.shape[:-2], -1)
