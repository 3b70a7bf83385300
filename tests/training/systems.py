"""Small experiments on the corridor."""

import dataclasses

import jax
import jax.numpy as jnp

from logo_jax.configs import presets
from logo_jax.configs.config import ExperimentConfig, FitConfig
from logo_jax.configs.registry import Component, component
from logo_jax.imagination.acted import Imagination
from logo_jax.training.compose import compose
from logo_jax.training.step import make_train
from logo_jax.types import Actor, Batch, Learner, LearnerState, Prediction, WorldModel
from logo_jax.uncertainty import none
from logo_jax.weighting import uniform
from tests import toys

FIT = FitConfig(updates=40, interval=20, batch_size=32)


def small(preset: str = "logo_macql", **changes) -> ExperimentConfig:
  config = presets.get(preset)
  parts = {"learner": _narrow("learner", config.learner)}
  if config.model is not None:
    parts["model"] = _narrow("model", config.model)
  budget = dict(
    total_updates=20,
    collect_interval=10,
    batch_size=32,
    num_starts=16,
    horizon=3,
    replay_collections=4,
    imagine_after=0,
    fit=FIT,
  )
  return dataclasses.replace(config, **(budget | parts | changes))


def reads_entities(config: ExperimentConfig) -> bool:
  """Whether the world model needs a layout, which toys have not."""
  model = config.model
  return model is not None and getattr(model.config, "network", "") == "entity"


def _narrow(kind, chosen: Component) -> Component:
  fields = dataclasses.asdict(chosen.config) | {"hidden_size": 16}
  if chosen.name == "rssm":
    fields |= {"window": 4, "num_categoricals": 2, "num_classes": 4}
  if "num_layers" in fields:
    fields["num_layers"] = 1
  if "network" in fields:
    fields["network"] = "mlp"  # the corridor has no layout
  return component(kind, chosen.name, **fields)


def load():
  return toys.load_corridor(100)


def train_parts(config, loaded, axis_name=None):
  """The system, its functions, and fresh model parameters or ()."""
  system = compose(config, loaded.spec, loaded.statistics, axis_name)
  params = ()
  if system.imagination is not None:
    params = jax.jit(system.imagination.model.init)(jax.random.key(11))
  return system, make_train(system, config, axis_name), params


def simulator() -> WorldModel:
  """The corridor itself in the place of a model."""
  env = toys.corridor()

  def start(params, t, key):
    cells = t.state.reshape(-1, 2, toys.CELLS).argmax(-1)
    return cells, jnp.zeros(cells.shape[0], jnp.int32)

  def step(params, latent, action, key):
    latent, after = jax.vmap(lambda s, a: env.step(s, a, None))(latent, action)
    none = jnp.zeros((*after.reward.shape, 1, 1, 1))
    return latent, Prediction(
      after.obs, after.state, after.reward, after.discount, after.legal, none, none
    )

  return WorldModel(1, 1, None, None, None, start, step, None)  # type: ignore


def trusting(model: WorldModel) -> Imagination:
  """A model of which nothing is doubted: no score, and all rows alike."""
  blind = none.make(none.Config(), None)  # type: ignore
  alike = uniform.make(uniform.Config(), None)  # type: ignore
  return Imagination(model, blind, alike)


def recorder(updates: int, like: Batch, window: int = 1, act=None) -> Learner:
  """Learns nothing; its parameters are the batches of the last so many updates.

  It plays legal actions at random, or as `act` says.
  """

  def init(key):
    log = jax.tree.map(lambda x: jnp.zeros((updates, *x.shape), x.dtype), like)
    return LearnerState(log, (), (), jnp.int32(0))

  def update(state, batch, key):
    at = state.step % updates
    log = jax.tree.map(lambda log, x: log.at[at].set(x), state.params, batch)
    return LearnerState(log, (), (), state.step + 1), {}

  def at_random(params, carry, now, key, greedy=False):
    action = jax.random.categorical(key, jnp.where(now.legal, 0.0, -1e9))
    return carry, action.astype(jnp.int32)

  actor = Actor(lambda shape: (), act or at_random)
  return Learner(init, update, actor, window)
