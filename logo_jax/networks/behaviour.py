"""Models of the behaviour policies that recorded the data, for CFCQL.

Section 4 of Shao et al. (NeurIPS 2023) weighs agents by how far they stray from their
behaviour policies. Those of discrete actions are a policy network trained as a clone;
continuous joint actions have a variational auto-encoder.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks import heads
from logo_jax.networks.agent import Trunk
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.policy import Policy, make_policy
from logo_jax.ops import actions
from logo_jax.ops.standardise import Moments, standardise
from logo_jax.types import EnvSpec, Params, Statistics, Transition

# Of decoded actions. With it the published loss, squared error plus half the divergence
# from the prior, both means over their dimensions, is the evidence lower bound.
_STD = math.sqrt(0.5 / 4)
_LOG_STD_RANGE = (-4.0, 15.0)  # of latents; published code


class CategoricalBehaviour(NamedTuple):
  """Each agent's action probabilities given what it sees; with memory, has seen."""

  policy: Policy

  def init(self, key: jax.Array) -> Params:
    return self.policy.init(key)

  def cost(self, params: Params, t: Transition, key: jax.Array) -> jax.Array:
    """Mean over agents of -log beta_i(a_i | o_i), [*b]."""
    del key
    return self.policy.imitation(params, t).mean(-1)

  def log_probs(self, params: Params, t: Transition) -> jax.Array:
    """log beta_i of every action of every agent, [*b, N, A]; about -1e9 if illegal."""
    logits = self.policy.outputs(params, t.obs)
    return jnp.asarray(actions.distribution(logits, t.legal).logits)


class JointActionVAE(NamedTuple):
  """Encodes joint continuous actions at a state, and decodes them.

  The latents have twice as many dimensions as the joint action. Given a latent, the
  actions are normal around the decoded ones and independent of each other, so that the
  likelihood of a joint action parts into one per agent.
  """

  num_agents: int
  action_dim: int
  width: int
  moments: Moments  # of states
  dtype: Any

  @property
  def latent_size(self) -> int:
    return 2 * self.num_agents * self.action_dim

  @property
  def _modules(self) -> tuple[MLP, MLP]:
    size, joint = self.width, self.num_agents * self.action_dim
    encoder = MLP((size, size, 2 * self.latent_size), self.dtype)
    return encoder, MLP((size, size, joint), self.dtype)

  def init(self, key: jax.Array) -> Params:
    encoder, decoder = self._modules
    k_encoder, k_decoder = jax.random.split(key)
    state = jnp.zeros(self.moments.mean.shape[-1])
    joint = jnp.zeros(self.num_agents * self.action_dim)
    latent = jnp.zeros(self.latent_size)
    return {
      "encoder": encoder.init(k_encoder, jnp.concatenate([state, joint])),
      "decoder": decoder.init(k_decoder, jnp.concatenate([state, latent])),
    }

  def cost(self, params: Params, t: Transition, key: jax.Array) -> jax.Array:
    """Squared error plus half the divergence from the prior, [*b]."""
    mean, log_std = self._encode(params, t.state, t.action)
    latent = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
    error = jnp.square(self._decode(params, t.state, latent) - t.action)
    prior = 0.5 * (jnp.square(mean) + jnp.exp(2 * log_std) - 1) - log_std
    return error.mean((-2, -1)) + 0.5 * prior.mean(-1)

  def log_prob(
    self,
    params: Params,
    state: jax.Array,
    action: jax.Array,
    key: jax.Array,
    num_samples: int,
  ) -> jax.Array:
    """Estimates of log beta_i(a_i | s), [*b, N].

    Importance sampling of each agent's own likelihood: the latents are drawn from the
    posterior of the joint action and weighed by prior over posterior.

    Args:
      params: of encoder and decoder.
      state: [*b, S].
      action: [*b, N, A].
      key: of the latents.
      num_samples: latents per joint action.
    """
    mean, log_std = self._encode(params, state, action)
    noise = jax.random.normal(key, (num_samples, *mean.shape))
    latent = mean + jnp.exp(log_std) * noise
    # log p(z) - log q(z); the normals' constants cancel.
    log_weight = 0.5 * (jnp.square(noise) - jnp.square(latent)).sum(-1) + log_std.sum(
      -1
    )
    states = jnp.broadcast_to(state, (num_samples, *state.shape))
    decoded = self._decode(params, states, latent)
    own = jax.scipy.stats.norm.logpdf(action, decoded, _STD).sum(-1)
    total = jax.nn.logsumexp(own + log_weight[..., None], axis=0)
    return total - jnp.log(num_samples)

  def _encode(self, params: Params, state: jax.Array, action: jax.Array):
    flat = action.reshape(*action.shape[:-2], -1)
    x = jnp.concatenate([standardise(state, self.moments), flat], -1)
    mean, raw = jnp.split(apply(self._modules[0], params["encoder"], x), 2, -1)
    return mean, jnp.clip(raw, *_LOG_STD_RANGE)

  def _decode(self, params: Params, state: jax.Array, latent: jax.Array) -> jax.Array:
    x = jnp.concatenate([standardise(state, self.moments), latent], -1)
    flat = jnp.tanh(apply(self._modules[1], params["decoder"], x))
    return flat.reshape(*flat.shape[:-1], self.num_agents, self.action_dim)


Behaviour = CategoricalBehaviour | JointActionVAE


def make_behaviour(spec: EnvSpec, statistics: Statistics, trunk: Trunk) -> Behaviour:
  """The model of the spec's kind of actions; memory only matters if discrete."""
  if spec.action_kind == "discrete":
    head = heads.categorical(spec.action_dim)
    return CategoricalBehaviour(make_policy(spec, statistics.obs, head, trunk))
  return JointActionVAE(
    num_agents=spec.num_agents,
    action_dim=spec.action_dim,
    width=trunk.hidden_size,
    moments=statistics.state,
    dtype=trunk.dtype,
  )
