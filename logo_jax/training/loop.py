"""The host loop of phases 2 and 3: log, save, evaluate between compiled chunks."""

import time
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np

from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import stream
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.io.logging import progress
from logo_jax.training import begin, feeds, parallel, plans, stored
from logo_jax.training.compose import System
from logo_jax.training.session import (
  ClippingAlarm,
  Evaluator,
  Session,
  by_seed,
  check_finite,
  means,
  seed_keys,
)
from logo_jax.training.step import (
  Stage,
  Train,
  TrainState,
  make_train,
  phase_keys,
  stages,
)
from logo_jax.types import Dataset, Params


def train(
  session: Session, evaluator: Evaluator | None, model_params: Params
) -> TrainState | None:
  """Phases 2 and 3 of Algorithm 1, and what the learner does before, for all seeds.

  Args:
    session: the experiment; resumed if its folder holds a checkpoint of a phase.
    evaluator: plays the policies; None where nothing can play them.
    model_params: with a leading axis of seeds; () for model-free systems.

  Returns:
    The last state, or None if the process was asked to stop.

  Raises:
    Diverged: a loss is not finite.
  """
  system, config, mesh = session.system, session.config, session.mesh
  state = None
  for stage in stages(system, config):
    if stored.is_over(session, stage.name):
      continue
    functions = make_train(system, config, parallel.batch_axis(mesh), stage.name)
    keys = seed_keys(config, stage.name)
    if state is None:
      state = init_train(functions, mesh, keys, model_params, session.data)
      if not stored.has_checkpoint(session, stage.name):
        state = begin.with_weights(session, state)
    else:  # the learner goes on, and all that its first phase was given stays
      state = _begin(state, keys)
    state = _train_stage(session, stage, functions, state, evaluator)
    if state is None:
      return None
  return state


def _train_stage(
  session: Session,
  stage: Stage,
  functions: Train,
  state: TrainState,
  evaluator: Evaluator | None,
) -> TrainState | None:
  """One phase, from its first state or its last checkpoint to its end."""
  config, mesh, interval = session.config, session.mesh, stage.interval
  last = stage.name == "train"
  evaluator = evaluator if last else None
  chunk = parallel.map_chunk(functions.chunk, mesh, state, stream.on_host(session.data))
  folder = session.folder.checkpoints / stage.name
  title = f"train {config.preset}" if last else stage.name
  with Checkpointer(folder, config.checkpoint.keep if last else 1) as checkpoints:
    fresh = checkpoints.latest_step() is None
    state, step = stored.resume(session, checkpoints, state, stage.name)
    if fresh and evaluator:  # the curve's first point: the policy as training finds it
      first = _evaluate(session, evaluator, state)
      session.folder.log(0, first | session.seconds.as_metrics(), stage.name)
    watch_clipping = ClippingAlarm(stage.updates)
    draw, end = functions.draw, stage.updates
    reads = feeds.make_feeds(session.data, draw, mesh, state.key, interval, end)
    with reads as feed, progress(title, end, initial=step) as bar:
      while step < end:
        if session.stop:
          checkpoints.save(step, state)
          return None
        start = time.monotonic()
        state, metrics = chunk(state, feed(step))
        logged = by_seed(metrics)
        session.seconds.add(stage.name, time.monotonic() - start)
        step += interval
        check_finite(means(logged), step, "update")
        watch_clipping(means(logged), step)
        score = None
        if evaluator and (step % config.evaluation.interval == 0 or step == end):
          logged |= _evaluate(session, evaluator, state)
          score = float(logged["evaluation/return"].mean())
        session.folder.log(step, logged | session.seconds.as_metrics(), stage.name)
        # After every evaluation too, so that the best one is there to be kept.
        due = not last or step % config.checkpoint.interval == 0
        if due or score is not None or step == end:
          checkpoints.save(step, state, score)
        bar.advance(interval, _shown(means(logged)))
  return state


def policy_params(config: ExperimentConfig, system: System, mesh: Mesh) -> Params:
  """Shapes, dtypes and layout of the parameters of all seeds' learners."""
  keys = seed_keys(config, "train")
  shapes = jax.eval_shape(jax.vmap(system.learner.init), keys).params
  return parallel.by_seed(shapes, mesh)


def train_state(
  config: ExperimentConfig, system: System, mesh: Mesh, data: Dataset
) -> TrainState:
  """Shapes, dtypes and layout of the state that `train` checkpoints."""
  steps = make_train(system, config, parallel.batch_axis(mesh))
  keys = seed_keys(config, "train")
  model_params = ()
  if system.imagination is not None:
    shapes = jax.eval_shape(jax.vmap(system.imagination.model.init), keys)
    model_params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  return init_train(steps, mesh, keys, model_params, data)


def init_train(
  steps: Train, mesh: Mesh, keys: jax.Array, model_params: Params, data: Dataset
) -> TrainState:
  """First states of all seeds, on the mesh; of rows on the host it reads few."""
  shared: Any = data
  if stream.on_host(data):
    feed = stream.gather(data.rows, jax.device_get(steps.calibration(data)))
    shared = parallel.replicate(feed, mesh)
  return parallel.map_init(steps.init, mesh, keys, model_params, shared=shared)


def _begin(state: TrainState, keys: jax.Array) -> TrainState:
  """A phase's last state as the first one of the next phase."""
  steps = parallel.put(jax.vmap(phase_keys)(keys)[:, 2], state.key.sharding)
  return state._replace(key=steps, step=jnp.zeros_like(state.step))


def _evaluate(
  session: Session, evaluator: Evaluator, state: TrainState
) -> dict[str, np.ndarray]:
  """A learning curve's point of each seed, [S]."""
  start = time.monotonic()
  result = evaluator.curve(plans.params_of(session.config, state))
  session.seconds.add("evaluate", time.monotonic() - start)
  won = {"evaluation/win_rate": np.asarray(result.won).mean(1)}
  return {
    "evaluation/return": np.asarray(result.episode_return).mean(1),
    "evaluation/length": np.asarray(result.length).mean(1),
  } | (won if evaluator.has_wins else {})


_SHOWN = ("evaluation/return", "learner/bc_loss", "learner/bellman_error")


def _shown(metrics: dict[str, float]) -> dict[str, float]:
  return {k.split("/")[1]: metrics[k] for k in _SHOWN if k in metrics}
