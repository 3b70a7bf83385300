"""Searching in a latent model: what MAZero's targets, and its play, are made of."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.networks.latent_model import LatentModel
from logo_jax.ops import actions, two_hot
from logo_jax.search import sampled, with_mctx
from logo_jax.search.sampled import Foreseen, Searched, TreeConfig
from logo_jax.types import Params

_CONCENTRATION = 0.3  # of the noise at roots
_LEAST = 1e-4  # probability of a legal action where there is noise


class Parts(NamedTuple):
  """What losses and searches are made of."""

  config: Any  # the learner's
  net: LatentModel

  @property
  def tree(self) -> TreeConfig:
    c = self.config
    return TreeConfig(c.num_simulations, c.max_depth, c.rho, c.os_lambda)


def root_of(parts: Parts, params: Params, h: jax.Array, legal: jax.Array) -> Foreseen:
  """What is seen at latents [*b, N, H]; nothing has led there."""
  net, nothing = parts.net, jnp.zeros(h.shape[:-2])
  value = two_hot.decode(net.value(params, h))
  return Foreseen(h, nothing, nothing, value, net.policy(params, h), legal)


def step(parts: Parts, params: Params, h: jax.Array, action: jax.Array) -> Foreseen:
  """Where joint actions [*b, N] or [*b, N, A] lead from latents [*b, N, H].

  An action is allowed there if it more likely is than not, and the likeliest always.
  """
  net = parts.net
  encoded = actions.encode(action, net.spec.action_dim)
  after = net.move(params, h, encoded)
  legal = jnp.ones(encoded.shape, bool)
  if net.spec.action_kind == "discrete":
    logits = net.legal(params, after)
    legal = actions.fill_empty(logits > 0, logits)
  goes_on = jax.nn.sigmoid(net.goes_on(params, after, encoded))
  return root_of(parts, params, after, legal)._replace(
    reward=two_hot.decode(net.reward(params, after, encoded)),
    discount=parts.config.discount * goes_on,
  )


def look(
  parts: Parts,
  params: Params,
  obs: jax.Array,
  legal: jax.Array,
  key: jax.Array,
  noise: float,
) -> tuple[jax.Array, Searched]:
  """Searches from what is observed.

  Args:
    parts: the network, and how to search.
    params: of the network.
    obs: [*b, N, O].
    legal: [*b, N, A].
    key: randomness.
    noise: share of Dirichlet noise in the roots' policies; discrete actions only.

  Returns:
    The network's values [*b] of where searches start, and what they have found, with
    leading axes [*b].
  """
  shape = obs.shape[:-2]
  root = root_of(parts, params, parts.net.encode(params, obs), legal)
  flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(shape) :]), root)
  keys = jax.random.split(key, flat.value.shape[0])
  found = jax.vmap(lambda r, k: _search(parts, params, r, k, noise))(flat, keys)
  return root.value, jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), found)


def _search(
  parts: Parts, params: Params, root: Foreseen, key: jax.Array, noise: float
) -> Searched:
  """One root's."""
  k_noise, k_draw, k_search = jax.random.split(key, 3)

  def model(h: jax.Array, action: jax.Array) -> Foreseen:
    return step(parts, params, h, action)

  def propose(node: Foreseen, key: jax.Array) -> jax.Array:
    keys = jax.random.split(key, parts.config.num_samples)
    return jax.vmap(lambda k: parts.net.head.sample(node.outputs, node.legal, k)[0])(
      keys
    )

  start = root
  if noise > 0 and parts.net.spec.action_kind == "discrete":
    start = root._replace(outputs=_noised(root.outputs, root.legal, noise, k_noise))
  drawn = propose(start, k_draw)
  if parts.config.search == "one_step":
    return sampled.one_step(root, drawn, model)
  grow = with_mctx.gumbel if parts.config.search == "gumbel" else sampled.tree
  return grow(root, drawn, model, propose, parts.tree, k_search)


def _noised(
  logits: jax.Array, legal: jax.Array, share: float, key: jax.Array
) -> jax.Array:
  """Logits of policies of which a share is Dirichlet noise."""
  probs = jnp.asarray(actions.distribution(logits, legal).probs)
  drawn = legal * jax.random.gamma(key, _CONCENTRATION, logits.shape)
  drawn /= jnp.maximum(drawn.sum(-1, keepdims=True), 1e-9)
  return jnp.log((1 - share) * probs + share * drawn + _LEAST)
