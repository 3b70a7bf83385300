"""Policies that read what a recurrent model believes learn what takes messages."""

import jax
import numpy as np
import pytest

from logo_jax.configs.config import FitConfig
from logo_jax.configs.registry import component
from logo_jax.data import dataset
from logo_jax.evaluation import rollout
from logo_jax.training import plans
from logo_jax.training.compose import compose
from logo_jax.training.fit_model import make_fit
from logo_jax.training.step import make_train, stages
from tests import toys
from tests.training import systems

_MODEL = dict(
  window=2,
  hidden_size=32,
  num_categoricals=4,
  num_classes=4,
  num_layers=1,
  num_heads=2,
)
_LEARNER = dict(hidden_size=32, clone_updates=100, value_updates=20, learning_rate=3e-3)


@pytest.mark.slow
def test_the_relay_is_learned_from_random_play():
  """Each part of it: the model knows what pays, the clone does not, rollouts rise."""
  env = toys.relay()
  loaded = dataset.load(toys.random_play(env, 1_000))
  config = systems.small(
    "mamba_native",
    model=component("model", "rssm", **_MODEL),
    learner=component("learner", "mappo", **_LEARNER),
    horizon=2,
    num_starts=128,
    total_updates=60,
    collect_interval=60,
    batch_size=64,
  )
  system = compose(config, loaded.spec, loaded.statistics)
  params, error = _fitted(system.imagination.model, loaded)
  # Whoever does not know the other's bit says the mean reward, an error of 0.28.
  assert error < 0.2
  state, returns = None, {}
  for stage in stages(system, config):
    train = make_train(system, config, phase=stage.name)
    first = jax.jit(train.init)(jax.random.key(3), params, loaded.data)
    state = first if state is None else first._replace(learner=state.learner)
    chunk = jax.jit(train.chunk)
    for _ in range(stage.updates // stage.interval):
      state, metrics = chunk(state, loaded.data)
    learned = stage.name == "train"  # what clones do at random is what they know
    returns[stage.name] = _played(env, config, system, state, greedy=learned)
  assert float(metrics["imagination/return"]) > 0.8
  assert 0.4 < returns["clone"] < 0.6
  assert returns["train"] > 0.9
  assert plans.who(config, system) == {"actor": "policy", "centralised": True}


def _fitted(model, loaded):
  """Parameters, and the selection error that they have."""
  fit = make_fit(model, FitConfig(4_000, 128, learning_rate=3e-3, interval=1_000))
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  chunk = jax.jit(fit.chunk)
  for _ in range(4):
    state, _ = chunk(state, loaded.data)
  return state.best_params, float(state.best_loss)


def _played(env, config, system, state, greedy) -> float:
  actor, params = plans.actor_of(config, system), plans.params_of(config, state)

  @jax.jit
  def play(params):
    return rollout.play(env, actor, params, 256, jax.random.key(9), greedy)

  return float(np.mean(play(params).episode_return))
