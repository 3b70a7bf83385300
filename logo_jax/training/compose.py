"""Puts components together and refuses what cannot work, before anything is traced."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.checks import ranges
from logo_jax.configs import registry
from logo_jax.configs.config import ExperimentConfig
from logo_jax.configs.registry import Component
from logo_jax.imagination import believed
from logo_jax.imagination.acted import Imagination
from logo_jax.ops.standardise import Moments, moments
from logo_jax.training import ends, matching, memory, optimizers, plans, segments
from logo_jax.types import (
  Beliefs,
  EnvSpec,
  Learner,
  LearnerContext,
  Planner,
  Statistics,
)


class System(NamedTuple):
  """Components ready to train; `imagination` is None for model-free systems."""

  learner: Learner
  imagination: Imagination | None
  max_steps: int = 2**30  # the environment's time limit
  planner: Planner | None = None
  beliefs: Beliefs | None = None  # what policies read in place of observations

  @property
  def window(self) -> int:
    """Consecutive recorded steps of a sample of the learner's."""
    if self.beliefs is None or self.imagination is None:
      return self.learner.window
    return self.imagination.model.window


def compose(
  config: ExperimentConfig,
  spec: EnvSpec,
  statistics: Statistics,
  axis_name: str | None = None,
  learner_statistics: Statistics | None = None,
) -> System:
  """Builds a system.

  Args:
    config: which components, with their configurations.
    spec: of the environment.
    statistics: of the dataset.
    axis_name: mapped axis over the devices that share a run's batch, if any.
    learner_statistics: what the learner is built with, if other ones.

  Returns:
    The system.

  Raises:
    ValueError: components that do not fit together, by name.
  """
  imagination = _imagination(config, spec, statistics)
  beliefs = matching.beliefs_of(config, imagination)
  known, seen = learner_statistics or statistics, spec
  if beliefs is not None:
    known = believed.statistics_of(known, spec, beliefs)
    seen = believed.spec_of(spec, beliefs)
  context = LearnerContext(
    seen,
    known,
    functools.partial(optimizers.adam, axis_name=axis_name),
    imagination.weighting.return_loss if imagination else 0.0,
  )
  learner = registry.make("learner", config.learner, context)
  matching.check_source(config, learner)
  if imagination is not None:
    matching.check_states(config, imagination, learner)
  planner = plans.make_planner(config, imagination, learner)
  return System(learner, imagination, spec.max_steps, planner, beliefs)


def _imagination(
  config: ExperimentConfig, spec: EnvSpec, statistics: Statistics
) -> Imagination | None:
  chosen = {kind: getattr(config, kind) for kind in ("uncertainty", "weighting")}
  if config.model is None:
    for kind, part in chosen.items():
      if part is not None:
        raise ValueError(f"{kind}.name: {part.name!r} needs a model, but model is None")
    if config.termination == "known":
      raise ValueError("termination: 'known' needs a model, but model is None")
    return None
  for kind, part in chosen.items():
    if part is None:
      allowed = ", ".join(registry.names(kind))
      raise ValueError(f"{kind}: a model needs one of {allowed}; got None")
  model = registry.make("model", config.model, spec, statistics)
  segments.check_model(config, model)
  ends_known = config.termination == "known"
  if config.termination is None:
    ends_known = ends.are_known(model, spec)
  if ends_known:
    model = ends.with_rule(model, spec)
  uncertainty = registry.make("uncertainty", chosen["uncertainty"], statistics)
  if model.num_views < uncertainty.min_views:
    raise ValueError(
      f"uncertainty.name: {chosen['uncertainty'].name!r} needs a model with at least "
      f"{uncertainty.min_views} views; model.name {config.model.name!r} has "
      f"{model.num_views}"
    )
  weighting = registry.make("weighting", chosen["weighting"], statistics)
  eventful = functools.partial(_eventful, statistics.reward)
  return Imagination(model, uncertainty, weighting, eventful, ends_known)


def _eventful(m: Moments, reward: jax.Array, discount: jax.Array) -> jax.Array:
  """An end, or a reward more than a standard deviation from the mean."""
  return (discount <= 0.5) | (jnp.abs(reward - m.mean) > m.std)


def resolved(config: ExperimentConfig, system: System) -> ExperimentConfig:
  """The configuration with all that is None by default as the system has it.

  Args:
    config: of the system.
    system: what `compose` makes of it.
  """
  made: dict[str, Any] = {"imagine_after": imagine_after(config)}
  if system.learner.config is not None:
    made["learner"] = Component(config.learner.name, system.learner.config)
  if config.termination is None and system.imagination is not None:
    known = system.imagination.ends_known
    made["termination"] = "known" if known else "learned"
  return dataclasses.replace(config, **made)


def imagine_after(config: ExperimentConfig) -> int:
  """Updates before which nothing imagined is learned from."""
  if config.imagine_after is not None:
    return config.imagine_after
  return min(1_000, config.total_updates // 5)


def check_components(config: ExperimentConfig, spec: EnvSpec) -> System:
  """Builds a system before there are any data, to see what `compose` would raise.

  Raises:
    ValueError: components that do not fit together, by name.
  """
  obs, state = (moments(np.zeros((1, n))) for n in (spec.obs_dim, spec.state_dim))
  statistics = Statistics(obs, state, moments(np.zeros(1)), (0.0, 0.0))
  system = compose(config, spec, statistics)
  matching.check_window(config, batch_shares(config), system)
  memory.check(config, spec, system.learner, system.imagination)
  return system


def check_budget(config: ExperimentConfig) -> None:
  """Refuses numbers that cannot work, whatever the data.

  Raises:
    ValueError: naming the first field that is out of range.
  """
  counts = "num_seeds total_updates batch_size horizon num_starts collect_interval"
  counts += " replay_collections data_parallel"
  given = {} if config.imagine_after is None else {"imagine_after": "[0"}
  ranges.check("", config, real_share="(0,1]", **_at_least_one(counts), **given)
  fit = _at_least_one("updates batch_size interval patience unroll")
  ranges.check("fit.", config.fit, learning_rate="(0", **fit)
  episodes = _at_least_one("interval episodes final_episodes")
  ranges.check("evaluation.", config.evaluation, **episodes)
  ranges.check("data.", config.data, time_limit="[0")
  ranges.check("checkpoint.", config.checkpoint, **_at_least_one("interval keep"))
  ranges.check_seed("seed", config.seed, config.num_seeds)
  ranges.check_seed("evaluation.seed", config.evaluation.seed)
  _check_multiples(config)


def check_batch_sizes(config: ExperimentConfig, num_transitions: int) -> None:
  """Refuses batches larger than the dataset.

  Raises:
    ValueError: naming the field.
  """
  names = ["batch_size"] if config.model is None else ["batch_size", "fit.batch_size"]
  for name in names:
    value = _field(config, name)
    if value > num_transitions:
      raise ValueError(
        f"{name}: {value} is larger than the dataset, which has {num_transitions} "
        "transitions"
      )


def batch_shares(config: ExperimentConfig) -> tuple[int, int]:
  """Real and imagined transitions in a device's part of a batch; see `config.mix`."""
  size = config.batch_size // config.data_parallel
  if config.model is None:
    return size, 0
  if config.mix == "bernoulli":
    return size, size
  num_real = round(config.real_share * size)
  return num_real, size - num_real


def _check_multiples(config: ExperimentConfig) -> None:
  step = config.collect_interval
  for name in ("total_updates", "evaluation.interval", "checkpoint.interval"):
    value = _field(config, name)
    if value % step:
      raise ValueError(
        f"{name}: must be a multiple of collect_interval ({step}), got {value}"
      )
  if config.fit.updates % config.fit.interval:
    raise ValueError(
      f"fit.updates: must be a multiple of fit.interval ({config.fit.interval}), got "
      f"{config.fit.updates}"
    )
  unrolled = config.fit.unroll_updates
  if unrolled % config.fit.interval or not 0 <= unrolled <= config.fit.updates:
    raise ValueError(
      f"fit.unroll_updates: must be a multiple of fit.interval ({config.fit.interval}) "
      f"from 0 to fit.updates ({config.fit.updates}), got {unrolled}"
    )
  if unrolled and config.fit.unroll == 1:
    raise ValueError(
      "fit.unroll: must be at least 2 where fit.unroll_updates is above 0 "
      f"({unrolled}), got 1"
    )
  windows = config.fit.unroll * config.data_parallel
  if config.fit.batch_size % windows:
    raise ValueError(
      f"fit.batch_size: must be a multiple of fit.unroll on each device ({windows}), "
      f"got {config.fit.batch_size}"
    )
  for name in ("batch_size", "num_starts", "fit.batch_size"):
    value = _field(config, name)
    if value % config.data_parallel:
      raise ValueError(
        f"{name}: must be a multiple of data_parallel ({config.data_parallel}), got "
        f"{value}"
      )


def _at_least_one(names: str) -> dict[str, str]:
  return dict.fromkeys(names.split(), "[1")


def _field(config: ExperimentConfig, name: str) -> Any:
  value: Any = config
  for part in name.split("."):
    value = getattr(value, part)
  return value
