"""Compositions that several presets begin with."""

import dataclasses
from typing import Any

from logo_jax.configs.config import ExperimentConfig
from logo_jax.configs.registry import Component, component


def model_based(
  preset: str,
  model: str | Component = "logo",
  uncertainty: str | Component = "path_discrepancy",
  weighting: str | Component = "confidence",
  learner: str | Component = "macql",
) -> ExperimentConfig:
  """A world model with what goes with it, and a learner: names, or with fields."""

  def part(kind: str, chosen: str | Component) -> Component:
    return component(kind, chosen) if isinstance(chosen, str) else chosen

  return ExperimentConfig(
    preset=preset,
    learner=part("learner", learner),
    model=part("model", model),
    uncertainty=part("uncertainty", uncertainty),
    weighting=part("weighting", weighting),
  )


def planning(preset: str, advice_weight: float, actor: Any) -> ExperimentConfig:
  """MACQL on recorded rows alone, with plans in LOGO's model."""
  learner = component("learner", "macql", advice_weight=advice_weight)
  config = model_based(preset, uncertainty="none", weighting="uniform")
  return dataclasses.replace(
    config,
    learner=learner,
    planner=component("planner", "mpc"),
    actor=actor,
    real_share=1.0,
  )


def local_cql() -> Component:
  """Independent conservative learners, each of its own observations and actions."""
  return component("learner", "omar", search_weight=0.0, value_input="obs")
