"""The networks of world models that read entities."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.networks.entity import (
  DepthMLP,
  Embedding,
  Features,
  PairHead,
  SumHead,
  Trunk,
  depth_features,
  shown,
)
from logo_jax.networks.flat_models import Sizes
from logo_jax.networks.mlp import MLP, apply
from logo_jax.networks.now import Now
from logo_jax.types import EnvSpec, Params


class _Modules(NamedTuple):
  trunk: nn.Module
  state: nn.Module  # next state from the trunk: all of a direct model, LOGO's E_ps
  obs: nn.Module  # next observations from the trunk: LOGO's E_p
  deduce: nn.Module  # R_d: what observers tell of an entity
  deduced: nn.Module  # R_d: the entity from what they tell
  encode: nn.Module  # E_d
  reward: nn.Module
  termination: nn.Module
  legal: nn.Module  # actions that point at an entity
  legal_own: nn.Module  # the others


class EntityNetworks:
  """The paths of direct models and of LOGO, as functions of parameters and tokens.

  All agents share parameters, and tell themselves apart by the entities they own.
  """

  def __init__(
    self, sizes: Sizes, spec: EnvSpec, state: Codec, obs: Codec, deductive: bool
  ):
    assert spec.layout is not None
    self._discrete = spec.action_kind == "discrete"
    self._features = Features(spec.layout, state, obs, self._discrete)
    self._spec, self._state, self._obs = spec, state, obs
    self._deductive, self._encodes = deductive, sizes.encodes
    h, dtype = sizes.hidden_size, sizes.dtype
    self._modules = _Modules(
      trunk=Trunk(h, dtype=dtype),
      state=MLP((h, h, state.output_size), dtype),
      obs=PairHead(h // 2, obs.output_size, dtype),
      deduce=PairHead(h // 2, h, dtype),
      deduced=DepthMLP(h, state.output_size, dtype),
      encode=PairHead(h // 2, obs.output_size, dtype),
      reward=SumHead(h // 2, dtype),
      termination=SumHead(h // 2, dtype),
      legal=PairHead(h // 2, 1, dtype),
      legal_own=MLP((h // 2, spec.action_dim), dtype),
    )
    self._pointed = nn.Dense(max(len(obs.structure.pointers), 1), dtype=dtype)

  def init(self, key: jax.Array) -> Params:
    """Parameters of all networks."""
    now = self._example()
    keys = iter(jax.random.split(key, 16))
    params: dict[str, Params] = {}

    def add(name: str, module: nn.Module, *inputs: Any) -> Any:
      params[name] = module.init(next(keys), *inputs)
      return apply(module, params[name], *inputs)

    m = self._modules
    embedding = add("trunk", m.trunk, self._features.graph(now))
    add("state", m.state, embedding.nodes)
    add("obs", m.obs, *self._obs_input(embedding, now))
    add("pointed", self._pointed, embedding.pairs)
    add("reward", m.reward, *self._change(now.state, now))
    add("termination", m.termination, *self._change(now.state, now))
    if self._discrete:
      add("legal", m.legal, *self._legal_input(now.obs))
      add("legal_own", m.legal_own, self._own(now.obs))
    if self._deductive:
      told = add("deduce", m.deduce, *self._deduce_input(now.obs, now))
      x = self._deduced_input(told, now.obs, now)
      add("deduced", m.deduced, x, depth_features(now.depth))
      if self._encodes:
        add("encode", m.encode, *self._encode_input(now.state, now.depth))
    return params

  def _example(self) -> Now:
    n, e = self._spec.num_agents, self._state.num_tokens
    return Now(
      Tokens(jnp.zeros((n, e, self._obs.token_size)), jnp.ones((n, e))),
      Tokens(jnp.zeros((e, self._state.token_size)), jnp.ones(e)),
      jnp.zeros((n, self._spec.action_dim)),
      jnp.zeros(()),
    )

  # From now to the next step.

  def trunk(self, params: Params, now: Now) -> Embedding:
    """What both paths of LOGO, and all of a direct model, start from."""
    return apply(self._modules.trunk, params["trunk"], self._features.graph(now))

  def state(self, params: Params, embedding: Embedding, now: Now) -> jax.Array:
    """Says the next state, [*b, E, R]."""
    del now
    return apply(self._modules.state, params["state"], embedding.nodes)

  def obs(self, params: Params, embedding: Embedding, now: Now) -> jax.Array:
    """Says the next observations, [*b, N, E, R]."""
    rows = self._obs_input(embedding, now)
    out = apply(self._modules.obs, params["obs"], *rows)
    logits = apply(self._pointed, params["pointed"], embedding.pairs)
    for i, (pointer, at) in enumerate(self._features.pointers):
      extra = jnp.einsum("...jk,jvk->...jv", logits[..., i], at)[..., None, :, :]
      place = (pointer.output, out.shape[-1] - pointer.output - at.shape[1])
      out += jnp.pad(extra, [(0, 0)] * (extra.ndim - 1) + [place])
    return out

  def _obs_input(self, embedding: Embedding, now: Now) -> Sequence[jax.Array]:
    members = self._features.members
    own = jnp.einsum("...ef,ne->...nf", embedding.nodes, members)
    between = jnp.einsum("...ekf,ne->...nkf", embedding.pairs, members)
    pairs = jnp.concatenate([between, shown(now.obs), self._owned(now.obs)], -1)
    return own, embedding.nodes, pairs

  def _owned(self, obs: Tokens) -> jax.Array:
    """Whether an entity is the agent's own, [*b, N, E, 1]."""
    return jnp.broadcast_to(self._features.members[..., None], (*obs.present.shape, 1))

  # From the next observations to the next state: LOGO's deductive model.

  def deduce(self, params: Params, next_obs: Tokens, now: Now) -> jax.Array:
    """R_d: says the next state [*b, E, R] from the joint next observation."""
    rows = self._deduce_input(next_obs, now)
    told = apply(self._modules.deduce, params["deduce"], *rows)
    x = self._deduced_input(told, next_obs, now)
    depth = depth_features(now.depth)
    return apply(self._modules.deduced, params["deduced"], x, depth)

  def _deduce_input(self, next_obs: Tokens, now: Now) -> Sequence[jax.Array]:
    said = shown(next_obs)
    columns = jnp.concatenate(self._features.known(now), -1)
    pairs = jnp.concatenate([said, self._owned(next_obs)], -1)
    return self._own(next_obs), columns, pairs

  def _deduced_input(self, told: jax.Array, next_obs: Tokens, now: Now) -> jax.Array:
    """What is told by those who see an entity, averaged, and what was known."""
    weight = next_obs.present[..., None]
    mean = (nn.relu(told) * weight).sum(-3) / jnp.maximum(weight.sum(-3), 1e-3)
    seen = next_obs.present.swapaxes(-1, -2)
    return jnp.concatenate([mean, seen, *self._features.known(now)], -1)

  def encode(self, params: Params, next_state: Tokens, reward: jax.Array) -> jax.Array:
    """E_d: says the observations [*b, N, E, R] that belong to a state."""
    rows = self._encode_input(next_state, reward)
    return apply(self._modules.encode, params["encode"], *rows)

  def _encode_input(self, state: Tokens, reward: jax.Array) -> Sequence[jax.Array]:
    nodes = jnp.concatenate(self._features.of_state(state), -1)
    members = self._features.members
    own = jnp.einsum("...ef,ne->...nf", nodes, members)
    near = self._features.geometry(state)
    pairs = jnp.einsum("...ekf,ne->...nkf", near, members)
    reward = jnp.broadcast_to(reward[..., None, None], (*nodes.shape[:-1], 1))
    return own, jnp.concatenate([nodes, reward], -1), pairs

  # What follows from the next step.

  def reward(
    self, params: Params, next_obs: Tokens, next_state: Tokens, now: Now
  ) -> jax.Array:
    """The standardised reward [*b] of getting to a state."""
    del next_obs
    x = self._change(next_state, now)
    return apply(self._modules.reward, params["reward"], *x)

  def termination(self, params: Params, next_state: Tokens, now: Now) -> jax.Array:
    """Logit of the end of the episode, [*b]."""
    x = self._change(next_state, now)
    return apply(self._modules.termination, params["termination"], *x)

  def _change(self, next_state: Tokens, now: Now) -> Sequence[jax.Array]:
    x = shown(next_state)
    parts = [x, x - shown(now.state), *self._features.known(now)]
    return jnp.concatenate(parts, -1), depth_features(now.depth)

  def legal(self, params: Params, next_obs: Tokens) -> jax.Array:
    """Logits of which actions will be legal, [*b, N, A]."""
    own = self._own(next_obs)
    free = apply(self._modules.legal_own, params["legal_own"], own)
    at = apply(self._modules.legal, params["legal"], *self._legal_input(next_obs))
    return free + jnp.einsum("...nk,nak->...na", at[..., 0], self._features.points)

  def _legal_input(self, next_obs: Tokens) -> Sequence[jax.Array]:
    said = shown(next_obs)
    static = self._features.static
    static = jnp.broadcast_to(static, (*said.shape[:-3], *static.shape))
    return self._own(next_obs), static, said

  def _own(self, obs: Tokens) -> jax.Array:
    """What each agent observes of itself, and what it is."""
    own = self._features.own(shown(obs))
    static = self._features.members @ self._features.static
    static = jnp.broadcast_to(static, (*own.shape[:-1], static.shape[-1]))
    return jnp.concatenate([own, static], -1)
