"""A direct world model: one network from state, observations and joint action.

It predicts the next state, the observations of all agents, and the reward at once, the
plain alternative to deducing the state from local predictions (Fig. 3 of LOGO, AAMAS
2026).
"""

import dataclasses
from typing import Literal

from logo_jax.checks import ranges
from logo_jax.types import EnvSpec, Statistics, WorldModel
from logo_jax.world_models.parts import direct, dynamics, networks


@dataclasses.dataclass(frozen=True)
class Config:
  """The direct model."""

  network: Literal["entity", "mlp"] = "mlp"  # "entity" reads the environment's layout
  hidden_size: int = 256  # units
  # Exponent of the predicted variance by which a likelihood's gradient is multiplied
  # (beta-NLL, Seitzer et al., 2022).
  variance_exponent: float = 0.5
  reward_weight: float = 1.0  # of the squared error of the standardised reward
  termination_class_weight: float = 5.0  # of terminations in their cross entropy
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, spec: EnvSpec, statistics: Statistics) -> WorldModel:
  """Builds the model.

  Raises:
    ValueError: a number is out of range.
  """
  ranges.check(
    "model.",
    config,
    hidden_size="[1",
    variance_exponent="[0,1]",
    reward_weight="[0",
    termination_class_weight="(0",
  )
  frame, _ = networks.frame(config, spec, statistics)
  return dynamics.make(frame, direct.make(frame, config))
