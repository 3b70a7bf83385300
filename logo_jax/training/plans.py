"""Where plans are used: which fit, and who plays."""

from typing import Any

from logo_jax.configs import registry
from logo_jax.configs.config import ExperimentConfig
from logo_jax.imagination.acted import Imagination
from logo_jax.imagination.believed import acting_on
from logo_jax.types import Actor, Learner, Params, Planner


def make_planner(
  config: ExperimentConfig, imagination: Imagination | None, learner: Learner
) -> Planner | None:
  """Builds the planner; None where there is none.

  Raises:
    ValueError: it does not fit the other components, or nobody asks it, by name.
  """
  if config.planner is None:
    if config.actor == "planner":
      allowed = ", ".join(registry.names("planner"))
      raise ValueError(f"actor: 'planner' needs a planner, one of {allowed}; got None")
    return None
  name = config.planner.name
  if imagination is None:
    raise ValueError(f"planner.name: {name!r} needs a model, but model is None")
  if learner.advice_weight is None and config.actor != "planner":
    raise ValueError(
      f"planner.name: {name!r} is of no use: learner.name {config.learner.name!r} as "
      f"configured takes no advice, and actor is {config.actor!r}; allowed are a "
      "learner with advice_weight, and actor 'planner'"
    )
  planner = registry.make("planner", config.planner, imagination, learner)
  if planner.share < 1 and config.real_share < 1:
    raise ValueError(
      f"planner.share: must be 1 where real_share is below 1 ({config.real_share}), "
      f"for real rows come first in a batch; got {planner.share}"
    )
  return planner


def actor_of(config: ExperimentConfig, system: Any) -> Actor:
  """Who plays in evaluations: the learner's policies, or the planner around them."""
  if config.actor == "planner":
    return system.planner.actor
  if system.beliefs is not None:
    return acting_on(system.beliefs, system.learner.actor)
  return system.learner.actor


def needs_model(config: ExperimentConfig) -> bool:
  """Whether who plays has the parameters of model, uncertainty and learner."""
  return config.actor == "planner" or config.reads == "believed"


def who(config: ExperimentConfig, system: Any) -> dict[str, Any]:
  """Who has played, as results say it."""
  centralised = actor_of(config, system).centralised
  return {"actor": config.actor, "centralised": centralised}


def params_of(config: ExperimentConfig, state: Any) -> Params:
  """The parameters of `actor_of`, out of a `step.TrainState`."""
  if needs_model(config):
    return state.model, state.uncertainty, state.learner.params
  return state.learner.params
