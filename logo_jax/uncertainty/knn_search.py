"""How far a transition is from the nearest ones in the data (SUMO, Qiao et al., 2025).

The cross entropy between the model's dynamics and the true ones, estimated by a search:
the density of the data at z = [s, a, s'] is about k / (N c_D R_k(z)^D), with R_k the
distance to the k-th neighbour, so that up to constants

  u(s, a, s') = log(1 + R_k(z))

Observations and states are standardised, discrete actions one-hot. SUMO's code is not
public: whether z holds the reward too, and how it is scaled, is not known. With
`scope="local"` each agent searches [o_i, a_i, o_i'] among its own, the form of
decentralised learners.

The unit is a quantile of the scores of held-out transitions, which are real but not in
the bank, for each agent: above 1, a transition is unlike the data. A monotone form of
R_k, such as log(1 + R_k), does not change which steps that are, only how much more
uncertain one is than another, which halting does not ask for.

The search is exact and part of the compiled program, so that it runs where the model
does. Libraries such as faiss search on the host, outside of it, and without
approximation are no faster: 2,048 queries of 256 numbers among 100,000 points took 2.5
s here and 3.5 s there, on the same 2 cores.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.checks import ranges
from logo_jax.ops import actions, knn
from logo_jax.ops.ranks import lift
from logo_jax.ops.standardise import standardise
from logo_jax.types import (
  Params,
  Prediction,
  Statistics,
  Transition,
  Uncertainty,
  WorldModel,
)
from logo_jax.uncertainty.parts import ACCUMULATE, REDUCE


@dataclasses.dataclass(frozen=True)
class Config:
  """What is searched and the form of the score."""

  scope: Literal["local", "global"] = "local"  # [o_i, a_i, o_i'], or [s, a, s']
  k: int = 1  # neighbours
  neighbours: Literal["kth", "mean"] = "kth"  # distance to the last, or to all of them
  form: Literal["log", "distance"] = "log"  # log(1 + R), or R
  action_weight: float = 1.0  # of actions beside standardised numbers
  # Transitions searched, of the training split. Searching 20,000 takes 2 s on 2 cores
  # for a collection of 128 rollouts of 5 steps of 5 agents on smax/2s3z; a GPU has time
  # for all. They are part of each seed's state and of its checkpoints: N (2 O + A)
  # floats each, there 100 MB together.
  bank_size: int = 20_000
  quantile: float = 0.99  # of held-out scores, the unit
  # Over agents: with halting, any unknown agent halts, or all on average, or all.
  over_agents: Literal["max", "mean", "min"] = "max"
  # Along a rollout: of each step alone, or accumulated over the steps before it.
  accumulate: Literal["step", "cummax", "cumsum"] = "step"


class Bank(NamedTuple):
  """What is searched, for G agents, or one for all."""

  points: Float[Array, "G K D"]
  unit: Float[Array, " G"]


def make(config: Config, statistics: Statistics) -> Uncertainty:
  """Builds the score.

  Args:
    config: what is searched and the form of the score.
    statistics: of the dataset, for standardisation.

  Raises:
    ValueError: a number is out of range, or k larger than the bank.
  """
  ranges.check(
    "uncertainty.",
    config,
    k="[1",
    action_weight="[0",
    bank_size="[1",
    quantile="(0,1)",
  )
  if config.k > config.bank_size:
    raise ValueError(
      f"uncertainty.k: must be at most uncertainty.bank_size={config.bank_size}, got "
      f"{config.k}"
    )

  def search(bank: jax.Array, t: Transition) -> Float[Array, "*b G"]:
    z = points(t, config, statistics)
    shape = z.shape[:-1]
    queries = jnp.moveaxis(z.reshape(-1, *z.shape[-2:]), 1, 0)
    nearest = jax.vmap(lambda q, x: knn.nearest_distances(q, x, config.k))
    distance = nearest(queries, bank)  # [G, B, k]
    distance = distance.mean(-1) if config.neighbours == "mean" else distance[..., -1]
    score = jnp.log1p(distance) if config.form == "log" else distance
    return score.T.reshape(shape)

  def init(
    model: WorldModel,
    model_params: Params,
    held_out: Transition,
    bank: Transition,
    key: jax.Array,
  ) -> Bank:
    del model, model_params, key
    own = jnp.moveaxis(points(bank, config, statistics), 1, 0)
    unit = jnp.quantile(search(own, held_out), config.quantile, axis=0)
    return Bank(own, unit)

  def score(params: Bank, t: Transition, prediction: Prediction) -> jax.Array:
    del prediction
    unit = lift(jnp.maximum(params.unit, 1e-8), t.reward.ndim + 1)
    return REDUCE[config.over_agents](search(params.points, t) / unit)

  return Uncertainty(
    min_views=1,
    init=init,
    score=score,
    accumulate=ACCUMULATE[config.accumulate],
    calibrate=lambda params, raw: raw,  # each agent has been, by its own unit
    bank_size=config.bank_size,
    reads_state=config.scope == "global",
  )


def points(
  t: Transition, config: Config, statistics: Statistics
) -> Float[Array, "*b G D"]:
  """Transitions as points, one for each agent or one for all."""
  action = config.action_weight * actions.encode(t.action, t.legal.shape[-1])
  if config.scope == "local":
    before, after = (standardise(x, statistics.obs) for x in (t.obs, t.next_obs))
  else:
    before, after = (standardise(x, statistics.state) for x in (t.state, t.next_state))
    action = action.reshape(*before.shape[:-1], -1)
  z = jnp.concatenate([before, action, after], -1)
  return z if config.scope == "local" else z[..., None, :]
