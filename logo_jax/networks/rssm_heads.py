"""What a recurrent state-space model's beliefs are turned into.

Every agent has heads of its own belief, with shared parameters; of what is the team's,
the reward and the end, the agents' mean is taken. The state is decoded from all beliefs
together.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.rssm import Sizes
from logo_jax.types import EnvSpec, Params


class Heads:
  """Networks of features [*b, N, F]: of a belief, or of a change (see `rssm`)."""

  def __init__(self, sizes: Sizes, spec: EnvSpec):
    h, dtype = sizes.hidden_size, sizes.dtype
    n, actions = spec.num_agents, spec.action_dim
    self._num_features = sizes.num_categoricals * sizes.num_classes + h
    self._num_agents = n
    widths = {
      "decoder": (self._num_features, (h, h, h)),
      "obs": (h, (spec.obs_dim,)),
      "action": (h, (h, h, actions)),
      "state": (n * self._num_features, (h, h, spec.state_dim)),
      "reward": (self._num_features, (h, h, 1)),
      "termination": (self._num_features, (h, h, 1)),
    }
    if spec.action_kind == "discrete":
      widths["legal"] = (self._num_features, (h, h, actions))
    self._inputs = {name: jnp.zeros(size) for name, (size, _) in widths.items()}
    smooth = {"action", "reward", "termination", "legal"}
    self._nets = {
      name: MLP(features, dtype, nn.elu if name in smooth else nn.relu)
      for name, (_, features) in widths.items()
    }

  def init(self, key: jax.Array) -> Params:
    keys = jax.random.split(key, len(self._nets))
    return {
      name: net.init(k, self._inputs[name])
      for k, (name, net) in zip(keys, self._nets.items(), strict=True)
    }

  def _apply(self, params: Params, name: str, x: jax.Array) -> jax.Array:
    return apply(self._nets[name], params[name], x)

  def decoded(self, params: Params, belief: jax.Array) -> jax.Array:
    """The decoder's features [*b, N, H] of a belief, from which `obs` are said."""
    return nn.relu(self._apply(params, "decoder", belief))

  def obs(self, params: Params, decoded: jax.Array) -> jax.Array:
    """Standardised observations [*b, N, O]."""
    return self._apply(params, "obs", decoded)

  def action(self, params: Params, decoded: jax.Array) -> jax.Array:
    """The actions that led here, [*b, N, A]: logits, or the actions themselves."""
    return self._apply(params, "action", decoded)

  def state(self, params: Params, belief: jax.Array) -> jax.Array:
    """The standardised state [*b, S]."""
    together = belief.reshape(*belief.shape[:-2], -1)
    return self._apply(params, "state", together)

  def legal(self, params: Params, belief: jax.Array) -> jax.Array:
    """Logits [*b, N, A] of which actions are legal."""
    return self._apply(params, "legal", belief)

  def reward(self, params: Params, change: jax.Array) -> jax.Array:
    """The standardised reward [*b] of a change."""
    return self._apply(params, "reward", change)[..., 0].mean(-1)

  def termination(self, params: Params, change: jax.Array) -> jax.Array:
    """Logits [*b] of an end that a change brings."""
    return self._apply(params, "termination", change)[..., 0].mean(-1)
