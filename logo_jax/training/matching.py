"""Refuses components, and batches, that do not fit together, by name."""

from typing import Any

from logo_jax.configs import registry
from logo_jax.configs.config import ExperimentConfig
from logo_jax.imagination.acted import Imagination
from logo_jax.types import Beliefs, Learner


def beliefs_of(
  config: ExperimentConfig, imagination: Imagination | None
) -> Beliefs | None:
  """What policies read in place of observations; None where they read these.

  Raises:
    ValueError: nobody has beliefs, or the learner cannot learn on them.
  """
  if config.reads == "observed":
    return None
  beliefs = imagination.model.beliefs if imagination is not None else None
  if beliefs is None:
    name = config.model.name if config.model is not None else None
    raise ValueError(
      f"reads: 'believed' needs a model with a memory, model.name='rssm'; got {name!r}"
    )
  name = config.learner.name
  if registry.eats(name) != "rollouts":
    raise ValueError(
      f"reads: must be 'observed' with learner.name {name!r}, which learns on rows of "
      "a ring; 'believed' is for learners on rollouts, such as 'mappo'"
    )
  for field in ("planner", "init_from"):
    value = getattr(config, field)
    if value:
      raise ValueError(
        f"{field}: must be {None if field == 'planner' else ''!r} with "
        f"reads='believed', where policies know the beliefs of one model alone; got "
        f"{getattr(value, 'name', value)!r}"
      )
  return beliefs


def check_source(config: ExperimentConfig, learner: Learner) -> None:
  """Refuses a learner without what its batches come from."""
  if learner.eats != "rollouts":
    return
  name = config.learner.name
  if config.model is None:
    raise ValueError(
      f"learner.name: {name!r} learns on rollouts in a model, but model is None; "
      f"allowed is one of {', '.join(registry.names('model'))}"
    )
  steps = config.num_starts * config.horizon // config.data_parallel
  num = getattr(learner.config, "num_minibatches", 1)
  if steps % num:
    raise ValueError(
      f"learner.num_minibatches: {num} must divide the {steps} imagined steps of a "
      "device (num_starts * horizon)"
    )


def check_states(
  config: ExperimentConfig, imagination: Imagination, learner: Learner
) -> None:
  """Refuses parts that read states beside a model that does not predict them."""
  if imagination.model.predicts_state:
    return
  assert config.model is not None and config.uncertainty is not None
  reading = {
    f"learner.name: {config.learner.name!r}": learner.reads_state,
    f"uncertainty.name: {config.uncertainty.name!r}": (
      imagination.uncertainty.reads_state
    ),
    f"termination: {config.termination!r}": config.termination == "known",
  }
  for field, reads in reading.items():
    if reads:
      raise ValueError(
        f"{field} reads states, but model.name {config.model.name!r} as configured "
        "predicts observations alone; allowed is what reads observations alone"
      )


def check_window(
  config: ExperimentConfig, shares: tuple[int, int], system: Any
) -> None:
  """Refuses batches that are not made of whole windows.

  Args:
    config: of the experiment.
    shares: real and imagined transitions in a device's part of a batch.
    system: as composed.

  Raises:
    ValueError: naming the field.
  """
  window = system.window
  name = "learner" if system.beliefs is None else "model"
  if shares[0] < 1:
    raise ValueError(
      f"real_share: {config.real_share} leaves a device no real transition among "
      f"{sum(shares)}"
    )
  if any(share % window for share in shares):
    real, imagined = shares
    raise ValueError(
      f"batch_size: {config.batch_size} gives a device {real} real and {imagined} "
      f"imagined transitions at a time; both must be multiples of {name}.window "
      f"({window})"
    )
