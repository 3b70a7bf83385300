"""Networks that an agent applies to what it sees, with memory or without."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from logo_jax.networks import mlp
from logo_jax.networks.mlp import MLP
from logo_jax.networks.per_agent import per_agent
from logo_jax.types import Params


class Trunk(NamedTuple):
  """Static choices that all of a learner's networks share."""

  hidden_size: int  # units of both hidden layers
  share_agents: bool  # one network for all agents with an agent identity
  recurrent: bool = False  # the second hidden layer is a GRU's
  dtype: Any = "float32"  # of the computation


class AgentNetwork(NamedTuple):
  """One network per agent.

  Without memory inputs have any leading axes, `[*b, N, F]`. With memory they are
  windows `[B, T, N, F]` in `apply` and `apply_both`, at whose start nothing is
  remembered, and single steps `[*b, N, F]` in `step`.
  """

  init: Callable[[jax.Array], Params]
  apply: Callable[[Params, jax.Array], jax.Array]  # (params, x) -> [..., N, G]
  # (params, x, next x) -> outputs at both; the next inputs follow on the current ones
  apply_both: Callable[[Params, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
  initial_carry: Callable[[tuple[int, ...]], Any]  # leading axes -> memory
  step: Callable[[Params, Any, jax.Array], tuple[Any, jax.Array]]


def make_agent_network(
  num_agents: int, in_size: int, out_size: int, trunk: Trunk
) -> AgentNetwork:
  """Two hidden layers per agent; with memory the second is a GRU (Cho et al., 2014)."""
  if trunk.recurrent:
    return _recurrent(num_agents, in_size, out_size, trunk)
  size = trunk.hidden_size
  net = per_agent(
    MLP((size, size, out_size), trunk.dtype), num_agents, trunk.share_agents
  )
  return AgentNetwork(
    init=lambda key: net.init(key, jnp.zeros((num_agents, in_size))),
    apply=net.apply,
    apply_both=lambda params, x, y: (net.apply(params, x), net.apply(params, y)),
    initial_carry=lambda batch_shape: (),
    step=lambda params, carry, x: (carry, net.apply(params, x)),
  )


class _Cell(nn.Module):
  """Maps memory and features side by side, [*b, H + F], to memory and output."""

  hidden_size: int
  out_size: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    carry, features = x[..., : self.hidden_size], x[..., self.hidden_size :]
    h = nn.relu(nn.Dense(self.hidden_size, dtype=self.dtype)(features))
    carry, h = nn.GRUCell(self.hidden_size, dtype=self.dtype)(carry, h)
    out = nn.Dense(self.out_size, dtype=self.dtype)(h)
    return jnp.concatenate([carry, out], -1).astype("float32")


class _Window(nn.Module):
  """`_Cell` along whole windows [B, T, *b, F], with its parameters and no memory yet.

  What does not wait for memory is one product over all steps; a step of the scan is
  that of the memory alone, for its three gates at once. Where agents share parameters,
  x is [B, T, N, F], and the rows of the first kernel beyond F are theirs, one each.
  """

  share_agents: bool
  dtype: Any

  def __call__(self, x: jax.Array) -> jax.Array:
    params = self.variables["params"]
    gru = params["GRUCell_0"]
    side_by_side = functools.partial(jax.tree.map, lambda *p: jnp.concatenate(p, -1))
    of_inputs = side_by_side(gru["ir"], gru["iz"], gru["in"])
    of_memory = [gru[gate]["kernel"] for gate in ("hr", "hz", "hn")]
    of_memory = {"kernel": jnp.concatenate(of_memory, -1)}

    def step(h: jax.Array, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
      r_in, z_in, n_in = jnp.split(inputs, 3, -1)
      r_h, z_h, n_h = jnp.split(self._dense(of_memory, h), 3, -1)
      r, z = nn.sigmoid(r_in + r_h), nn.sigmoid(z_in + z_h)
      n = jnp.tanh(n_in + r * (n_h + gru["hn"]["bias"].astype(n_h.dtype)))
      h = (1.0 - z) * n + z * h
      return h, h

    first = params["Dense_0"]
    of_agents, of_features = (
      first["kernel"][x.shape[-1] :],
      first["kernel"][: x.shape[-1]],
    )
    bias = first["bias"] + of_agents if self.share_agents else first["bias"]
    first = self._dense({"kernel": of_features, "bias": bias}, x)
    features = jnp.swapaxes(nn.relu(first), 0, 1)
    inputs = self._dense(of_inputs, features)
    _, h = jax.lax.scan(step, jnp.zeros(features.shape[1:]), inputs)
    return jnp.swapaxes(self._dense(params["Dense_1"], h), 0, 1).astype("float32")

  def _dense(self, params: Params, x: jax.Array) -> jax.Array:
    params = jax.tree.map(lambda p: p.astype(self.dtype), params)
    return x.astype(self.dtype) @ params["kernel"] + params.get("bias", 0)


def _recurrent(
  num_agents: int, in_size: int, out_size: int, trunk: Trunk
) -> AgentNetwork:
  size = trunk.hidden_size
  cell = per_agent(_Cell(size, out_size, trunk.dtype), num_agents, trunk.share_agents)
  window = functools.partial(mlp.apply, _Window(trunk.share_agents, trunk.dtype))
  if not trunk.share_agents:
    window = jax.vmap(window, (0, -2), -2)

  def initial_carry(batch_shape: tuple[int, ...]) -> jax.Array:
    return jnp.zeros((*batch_shape, num_agents, size))

  def step(params: Params, carry: jax.Array, x: jax.Array):
    out = cell.apply(params, jnp.concatenate([carry, x], -1))
    return out[..., :size], out[..., size:]

  def apply(params: Params, x: jax.Array) -> jax.Array:
    return window(params, x)

  def apply_both(params: Params, x: jax.Array, next_x: jax.Array):
    out = apply(params, jnp.concatenate([x, next_x[..., -1:, :, :]], -3))
    return out[..., :-1, :, :], out[..., 1:, :, :]

  return AgentNetwork(
    init=lambda key: cell.init(key, jnp.zeros((num_agents, size + in_size))),
    apply=apply,
    apply_both=apply_both,
    initial_carry=initial_carry,
    step=step,
  )
