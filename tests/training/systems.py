"""Small experiments on the corridor."""

import dataclasses

import jax

from logo_jax import presets
from logo_jax.config import ExperimentConfig, FitConfig
from logo_jax.registry import component
from logo_jax.training.compose import compose
from logo_jax.training.step import make_train
from tests import toys

FIT = FitConfig(updates=40, interval=20, batch_size=32)


def small(preset: str = "logo", **changes) -> ExperimentConfig:
  config = presets.get(preset)
  parts = {"learner": component("learner", config.learner.name, hidden_size=16)}
  if config.model is not None:
    fields = dataclasses.asdict(config.model.config) | {"hidden_size": 16}
    parts["model"] = component("model", config.model.name, **fields)
  budget = dict(
    total_updates=20,
    collect_interval=10,
    batch_size=32,
    num_starts=16,
    horizon=3,
    replay_collections=4,
    fit=FIT,
  )
  return dataclasses.replace(config, **(budget | parts | changes))


def load():
  return toys.load_corridor(100)


def train_parts(config, loaded, axis_name=None):
  """The system, its functions, and fresh model parameters or ()."""
  system = compose(config, loaded.spec, loaded.statistics, axis_name)
  params = ()
  if system.imagination is not None:
    params = system.imagination.model.init(jax.random.key(11))
  return system, make_train(system, config, axis_name), params
