"""An ensemble of probabilistic models, as in PETS (Chua et al., 2018) and MBPO.

Members are direct models that differ in their initial parameters and in the bootstrap
sample of the data that each learns from: how often a transition counts for a member is
drawn from a Poisson distribution of mean 1, the limit of drawing with replacement, with
the transition's own bits for a seed, so that it is the same each time, and in runs of
other seeds, too. Each member keeps the parameters of its own smallest selection error.

A rollout goes on from the expectation of a member, drawn anew for each row and step, or
from the members' mean; with networks of entities, from units that are there or not.
Unlike MBPO's it adds no noise, and no member is left out for its selection error.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from logo_jax.checks import ranges
from logo_jax.codecs.tokens import Tokens
from logo_jax.networks.now import Now
from logo_jax.ops.ranks import lift, pick
from logo_jax.types import (
  EnvSpec,
  Metrics,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)
from logo_jax.world_models.parts import direct, dynamics, local, networks
from logo_jax.world_models.parts.dynamics import Dynamics
from logo_jax.world_models.parts.frame import Frame, Heads, Latent, Said


@dataclasses.dataclass(frozen=True)
class Config:
  """The ensemble; a member is a direct model, or one of local observations."""

  num_members: int = 5  # fitted side by side
  # "global": members read and predict everything. "local": each agent's (o_i, a_i) to
  # o_i'; the state is not predicted.
  scope: Literal["global", "local"] = "global"
  bootstrap: bool = True  # False: all members learn from all data
  next: Literal["member", "mean"] = "member"  # what a rollout goes on from
  network: Literal["entity", "mlp"] = "mlp"  # of global scope; local members are "mlp"
  hidden_size: int = 256  # units
  variance_exponent: float = 0.5  # as in `direct`; 1 is all but a squared error
  reward_weight: float = 1.0  # of the squared error of the standardised reward
  termination_class_weight: float = 5.0  # of terminations in their cross entropy
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, spec: EnvSpec, statistics: Statistics) -> WorldModel:
  """Builds the ensemble.

  Raises:
    ValueError: a number is out of range, or the scope does not fit the networks.
  """
  ranges.check(
    "model.",
    config,
    num_members="[1",
    hidden_size="[1",
    variance_exponent="[0,1]",
    reward_weight="[0",
    termination_class_weight="(0",
  )
  if config.scope == "local" and config.network != "mlp":
    raise ValueError("model.network: with model.scope 'local' must be 'mlp'")
  frame, _ = networks.frame(config, spec, statistics)
  member = (local if config.scope == "local" else direct).make(frame, config)
  ensemble = _Ensemble(config, frame, member)
  return WorldModel(
    num_views=config.num_members,
    window=1,
    init=ensemble.init,
    loss=ensemble.loss,
    validate=ensemble.validate,
    start=ensemble.start,
    step=ensemble.step,
    draw=ensemble.draw if ensemble.draws else None,
    diagnose=lambda params, t: {},
    predicts_state=config.scope == "global",
    error_shape=(config.num_members,),
  )


class _Ensemble:
  """Every parameter has a leading axis of members."""

  def __init__(self, config: Config, frame: Frame, member: Dynamics):
    self._config, self._frame = config, frame
    self._dynamics = member
    self._member = dynamics.make(frame, member)
    self.start = self._member.start
    self.draws = self._member.draw is not None

  def init(self, key: jax.Array) -> Params:
    keys = jax.random.split(key, self._config.num_members)
    return jax.vmap(self._member.init)(keys)

  def loss(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> tuple[jax.Array, Metrics]:
    """The sum over members: each learns as if alone."""
    weights = jnp.broadcast_to(weight, (self._config.num_members, *weight.shape))
    if self._config.bootstrap:
      counts = bootstrap_counts(_hash(t).ravel(), self._config.num_members)
      weights *= counts.reshape(weights.shape)

    def one(params: Params, weight: jax.Array):
      return self._member.loss(params, t, weight, key)

    losses, metrics = jax.vmap(one)(params, weights)
    return losses.sum(), jax.tree.map(lambda x: x.mean(0), metrics)

  def validate(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> jax.Array:
    """Of each member, [M]."""
    return jax.vmap(lambda p: self._member.validate(p, t, weight, key))(params)

  def step(
    self, params: Params, latent: Latent, action: jax.Array, key: jax.Array
  ) -> tuple[Latent, Prediction]:
    now = self._frame.imagined(latent, action)
    said, _ = self._say(params, now, key)
    return self._frame.predict(said, latent)

  def draw(
    self, params: Params, latent: Latent, action: jax.Array, key: jax.Array
  ) -> tuple[Latent, Prediction]:
    """As `step`, to one of the next steps that may come."""
    now = self._frame.imagined(latent, action)
    k_member, k_draw = jax.random.split(key)
    said, choose = self._say(params, now, k_member)
    of_member = self._dynamics.heads
    assert of_member is not None

    def heads(obs: Tokens, state: Tokens) -> Heads:
      return choose(jax.vmap(lambda p: of_member(p, obs, state, now))(params))

    return self._frame.predict(self._frame.drawn(said, heads, k_draw), latent)

  def _say(self, params: Params, now: Now, key: jax.Array) -> tuple[Said, Callable]:
    """What is said, and how one is made of what the members say."""
    said = jax.vmap(lambda p: self._dynamics.step(p, now))(params)
    views = [jnp.moveaxis(x[..., 0, :, :], 0, -3) for x in (said.mean, said.std)]
    if self._config.next == "mean":

      def choose(of_members: Any) -> Any:
        return jax.tree.map(lambda x: x.mean(0), of_members)
    else:
      member = jax.random.randint(key, now.depth.shape, 0, self._config.num_members)

      def choose(of_members: Any) -> Any:
        return jax.tree.map(lambda x: pick(x, member, 0), of_members)

    return choose(said)._replace(mean=views[0], std=views[1]), choose


# Cumulative probabilities of 0, 1, 2, ... in a Poisson distribution of mean 1.
_POISSON = np.cumsum(np.exp(-1.0) / np.cumprod([1, *range(1, 9)])).astype(np.float32)


def bootstrap_counts(seeds: jax.Array, num_members: int) -> Float[Array, "M B"]:
  """How often each transition counts for each member.

  Args:
    seeds: uint32 [B], one of each transition.
    num_members: M.
  """

  def count(member: jax.Array, seed: jax.Array) -> jax.Array:
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), member), seed)
    return (jax.random.uniform(key) > _POISSON).sum().astype(jnp.float32)

  members = jnp.arange(num_members)
  return jax.vmap(jax.vmap(count, (None, 0)), (0, None))(members, seeds)


def _hash(t: Transition) -> jax.Array:
  """A number of each transition [*b], from its bits: the same in any window."""
  rows = [t.obs, t.next_obs, t.action]
  total = jnp.zeros(t.reward.shape, jnp.uint32)
  for x in rows:
    x = x.reshape(*total.shape, -1)
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(
      0x85EBCA6B
    )  # small integers differ little
    bits ^= bits >> 13
    odd = 2 * jnp.arange(bits.shape[-1], dtype=jnp.uint32) + 1
    odd = lift(odd * jnp.uint32(2654435761), bits.ndim)
    total = total * 31 + (bits * odd).sum(-1)
  return total
