"""Fields and checks that every learner's configuration has."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.networks.agent import Trunk
from logo_jax.networks.policy import Policy
from logo_jax.types import Batch, Params, Statistics


def make_trunk(config: Any) -> Trunk:
  """The static choices of a learner's networks.

  Args:
    config: has `hidden_size`, `learning_rate`, `share_agents`, `recurrent`, `window`
      and `compute_dtype`.

  Raises:
    ValueError: a number is out of range, or memory without a window to learn it on.
  """
  ranges.check("learner.", config, hidden_size="[1", learning_rate="(0", window="[1")
  if config.recurrent and config.window == 1:
    raise ValueError(
      "learner.window: must be at least 2 with learner.recurrent=True, got 1"
    )
  return Trunk(
    config.hidden_size, config.share_agents, config.recurrent, config.compute_dtype
  )


def imitation_loss(policy: Policy, params: Params, batch: Batch) -> jax.Array:
  """Mean cost, over batch and agents, of other actions than the recorded ones."""
  cost = policy.imitation(params, batch.transition)
  return jnp.mean(batch.weight * cost.mean(-1))


# What the largest return comes to, as on SMAC (measured on SMAX, where it is 2).
_LARGEST_RETURN = 20.0


def reward_scale(action_kind: str, statistics: Statistics) -> float:
  """What makes returns of discrete tasks about as large as SMAC's, a power of ten.

  All qualities of a task so have one scale: 10 for SMAX, whose returns go up to 2, and
  1 for files in SMAC's own unit. Continuous actions, whose learners' weights are those
  of published code, have 1.

  Args:
    action_kind: "discrete" or "continuous".
    statistics: of the dataset.
  """
  largest = max(map(abs, statistics.return_range))
  if action_kind == "continuous" or largest == 0:
    return 1.0
  return 10.0 ** round(math.log10(_LARGEST_RETURN / largest))


def with_reward_scale(config: Any, action_kind: str, statistics: Statistics) -> Any:
  """The configuration, whose `reward_scale` is filled in if it is None."""
  scale = reward_scale(action_kind, statistics)
  return resolve(config, action_kind, reward_scale={action_kind: scale})


def check_td_lambda(config: Any) -> None:
  """Refuses TD(lambda) without windows to follow it along.

  Raises:
    ValueError: `td_lambda` is above 0 and `window` is 1.
  """
  if config.td_lambda > 0 and config.window == 1:
    raise ValueError(
      f"learner.window: must be at least 2 with learner.td_lambda={config.td_lambda}, "
      "got 1"
    )


def resolve(config: Any, action_kind: str, **defaults: dict[str, Any]) -> Any:
  """Fills in fields that are None by the kind of actions.

  Args:
    config: a dataclass instance.
    action_kind: "discrete" or "continuous".
    **defaults: field to {"discrete": value, "continuous": value}.
  """
  missing = {
    name: by_kind[action_kind]
    for name, by_kind in defaults.items()
    if getattr(config, name) is None
  }
  return dataclasses.replace(config, **missing)
