"""The host loops of both phases: log, save, evaluate between compiled chunks."""

from collections.abc import Callable
import contextlib
import functools
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from logo_jax.checkpoint import Checkpointer
from logo_jax.config import ExperimentConfig
from logo_jax.data import stream
from logo_jax.data.stream import Feed
from logo_jax.logging import progress
from logo_jax.training import parallel
from logo_jax.training.compose import System
from logo_jax.training.fit_model import Fit, FitState, make_fit, phases
from logo_jax.training.session import (
  ClippingAlarm,
  Evaluator,
  Session,
  check_finite,
  means,
  seed_keys,
)
from logo_jax.training.step import Train, TrainState, make_train
from logo_jax.types import Dataset, Params

_FIT_KEY, _TRAIN_KEY = 0, 1


def fit_model(session: Session) -> Params | None:
  """Phase 1 of Algorithm 1: fits the world models of all seeds.

  Args:
    session: the experiment; resumed if its folder holds a checkpoint of this phase.

  Returns:
    The parameters of the smallest selection error with a leading axis of seeds, or None
    if the process was asked to stop.

  Raises:
    Diverged: a loss is not finite.
  """
  config = session.config.fit
  (first, _), *_ = phases(config)
  fit = _make_fit(session, first)
  keys = seed_keys(session.config, _FIT_KEY)
  state = parallel.map_init(fit.init, session.mesh, keys, shared=())
  with Checkpointer(session.folder.checkpoints / "model", keep=1) as checkpoints:
    state, step = _resume(session, checkpoints, state, "model")
    if step == 0 and session.config.model_run:
      state, step = _take_over(session.config.model_run, checkpoints, state)
    with progress("fit model", config.updates, initial=step) as bar:
      begin = 0
      for length, end in phases(config):
        if step == begin > 0:  # a phase of its own, with its own patience
          # What it draws does not depend on when the one before has stopped.
          state = state._replace(
            stale=jnp.zeros_like(state.stale), step=jnp.full_like(state.step, begin)
          )
        state, step = _fit_phase(
          session, _make_fit(session, length), state, (step, end), checkpoints, bar
        )
        if session.stop and step < end:
          return None
        begin = end
  return state.best_params


def _make_fit(session: Session, length: int) -> Fit:
  assert session.system.imagination is not None
  return make_fit(
    session.system.imagination.model,
    session.config.fit,
    parallel.batch_axis(session.mesh),
    session.config.data_parallel,
    length,
  )


def _fit_phase(
  session: Session,
  fit: Fit,
  state: FitState,
  steps: tuple[int, int],
  checkpoints: Checkpointer,
  bar: Any,
) -> tuple[FitState, int]:
  """Steps from the first to the second; fewer if the process is asked to stop.

  Returns:
    The state, and the step it has reached; the second if all runs have stopped early.
  """
  config, mesh = session.config.fit, session.mesh
  step, end = steps
  chunk = parallel.map_chunk(fit.chunk, mesh, state, stream.on_host(session.data))
  feeds = make_feeds(session.data, fit.draw, mesh, state.key, config.interval, end)
  with feeds as feed:
    while step < end and int(state.stale.min()) < config.patience:
      if session.stop:
        return state, step
      start = time.monotonic()
      state, metrics = chunk(state, feed(step))
      logged = means(metrics)
      session.seconds.add("fit_model", time.monotonic() - start)
      step += config.interval
      check_finite(logged, step, "model step")
      session.folder.log(step, logged | session.seconds.as_metrics(), "model")
      checkpoints.save(step, state)
      bar.advance(config.interval, {"error": logged["model/selection_error"]})
  return state, max(step, end)


def train(
  session: Session, evaluator: Evaluator | None, model_params: Params
) -> TrainState | None:
  """Phases 2 and 3 of Algorithm 1, for all seeds.

  Args:
    session: the experiment; resumed if its folder holds a checkpoint of this phase.
    evaluator: plays the policies; None where nothing can play them.
    model_params: with a leading axis of seeds; () for model-free systems.

  Returns:
    The last state, or None if the process was asked to stop.

  Raises:
    Diverged: a loss is not finite.
  """
  config, mesh = session.config, session.mesh
  axis = parallel.batch_axis(mesh)
  steps = make_train(session.system, config, axis)
  keys = seed_keys(config, _TRAIN_KEY)
  state = init_train(steps, mesh, keys, model_params, session.data)
  chunk = parallel.map_chunk(steps.chunk, mesh, state, stream.on_host(session.data))
  interval, total = config.collect_interval, config.total_updates
  folder = session.folder.checkpoints / "train"
  with Checkpointer(folder, config.checkpoint.keep) as checkpoints:
    fresh = checkpoints.latest_step() is None
    state, step = _resume(session, checkpoints, state, "train")
    if fresh and evaluator:  # the curve's first point: an untrained policy
      first = _evaluate(session, evaluator, state)
      session.folder.log(0, first | session.seconds.as_metrics(), "train")
    watch_clipping = ClippingAlarm(total)
    feeds = make_feeds(session.data, steps.draw, mesh, state.key, interval, total)
    with feeds as feed, progress(f"train {config.preset}", total, initial=step) as bar:
      while step < total:
        if session.stop:
          checkpoints.save(step, state)
          return None
        start = time.monotonic()
        state, metrics = chunk(state, feed(step))
        logged = means(metrics)
        session.seconds.add("train", time.monotonic() - start)
        step += interval
        check_finite(logged, step, "update")
        watch_clipping(logged, step)
        score = None
        if evaluator and (step % config.evaluation.interval == 0 or step == total):
          logged |= _evaluate(session, evaluator, state)
          score = logged["evaluation/return"]
        session.folder.log(step, logged | session.seconds.as_metrics(), "train")
        # After every evaluation too, so that the best one is there to be kept.
        if step % config.checkpoint.interval == 0 or score is not None or step == total:
          checkpoints.save(step, state, score)
        bar.advance(interval, _shown(logged))
  return state


def train_state(
  config: ExperimentConfig, system: System, mesh: Mesh, data: Dataset
) -> TrainState:
  """Shapes, dtypes and layout of the state that `train` checkpoints."""
  steps = make_train(system, config, parallel.batch_axis(mesh))
  keys = seed_keys(config, _TRAIN_KEY)
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


def make_feeds(
  data: Dataset,
  draw: Callable[..., Any],
  mesh: Mesh,
  keys: jax.Array,
  interval: int,
  end: int,
) -> contextlib.AbstractContextManager[Callable[[int], Dataset | Feed]]:
  """What a phase's chunks read, in a context that ends with the phase.

  Args:
    data: as `parallel.place` leaves it.
    draw: of `Fit` or `Train`.
    mesh: from `parallel.make_mesh`.
    keys: of the states, with an axis of seeds; a phase never changes them.
    interval: steps of a chunk.
    end: steps of the phase.

  Returns:
    step -> the dataset itself, or for rows on the host the feed of the chunk there.
  """
  if not stream.on_host(data):
    return contextlib.nullcontext(lambda step: data)
  mapped, tables = parallel.map_draw(draw, mesh), data._replace(rows=())
  keys = keys.copy()  # the states are donated
  return stream.feeds(
    data.rows,
    lambda step: mapped(keys, step, tables),
    functools.partial(parallel.place_feed, mesh=mesh),
    range(0, end, interval),
  )


def has_train_checkpoint(session: Session) -> bool:
  """Whether phase 1 is over and phase 3 has begun."""
  path = session.folder.checkpoints / "train"
  if not path.exists():
    return False
  with Checkpointer(path, read_only=True) as checkpoints:
    return checkpoints.latest_step() is not None


def _resume(
  session: Session, checkpoints: Checkpointer, state: Any, phase: str
) -> tuple[Any, int]:
  """The last checkpointed state, or `state` itself, and its step."""
  state, step = checkpoints.restore_sound(state)
  if phase == "train" or not has_train_checkpoint(session):
    session.folder.truncate_after(-1 if step is None else step, phase)
  return state, step or 0


def _take_over(run_dir: str, checkpoints: Checkpointer, state: Any) -> tuple[Any, int]:
  """The fit of another run as if it had been this one's."""
  path = pathlib.Path(run_dir) / "checkpoints" / "model"
  with Checkpointer(path, read_only=True) as others:
    state, step = others.restore_sound(state)
    assert step is not None  # `experiment` has looked
  checkpoints.save(step, state)
  return state, step


def _evaluate(
  session: Session, evaluator: Evaluator, state: TrainState
) -> dict[str, float]:
  start = time.monotonic()
  result = evaluator.curve(state.learner.params)
  session.seconds.add("evaluate", time.monotonic() - start)
  return {
    "evaluation/return": float(result.episode_return.mean()),
    "evaluation/win_rate": float(result.won.mean()),
    "evaluation/length": float(result.length.mean()),
  }


_SHOWN = ("evaluation/return", "learner/bc_loss", "learner/bellman_error")


def _shown(metrics: dict[str, float]) -> dict[str, float]:
  return {k.split("/")[1]: metrics[k] for k in _SHOWN if k in metrics}
