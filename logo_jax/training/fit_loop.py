"""The host loop of phase 1: log, save, select between compiled chunks."""

import pathlib
import time
from typing import Any

import jax.numpy as jnp

from logo_jax.data import stream
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.io.logging import progress
from logo_jax.training import feeds, parallel, stored
from logo_jax.training.fit_model import Fit, FitState, make_fit, phases
from logo_jax.training.session import (
  Session,
  by_seed,
  check_finite,
  means,
  seed_keys,
)
from logo_jax.types import Params


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
  config, state = session.config.fit, _first_state(session)
  with Checkpointer(session.folder.checkpoints / "model", keep=1) as checkpoints:
    state, step = stored.resume(session, checkpoints, state, "model")
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


def fitted(session: Session) -> Params:
  """What phase 1 has come to in a folder that is only read.

  Args:
    session: the experiment; its folder need not be locked.

  Returns:
    The parameters of the smallest selection error with a leading axis of seeds.

  Raises:
    ValueError: the folder holds no fit, or one of another configuration.
  """
  path = session.folder.checkpoints / "model"
  with Checkpointer(path, read_only=True) as checkpoints:
    state, step = checkpoints.restore_sound(_first_state(session))
  if step is None:
    raise ValueError(f"checkpoint folder: {path} holds no checkpoint yet")
  return state.best_params


def _first_state(session: Session) -> FitState:
  (first, _), *_ = phases(session.config.fit)
  keys = seed_keys(session.config, "model")
  return parallel.map_init(
    _make_fit(session, first).init, session.mesh, keys, shared=()
  )


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
  reads = feeds.make_feeds(
    session.data, fit.draw, mesh, state.key, config.interval, end
  )
  with reads as feed:
    while step < end and int(state.stale.min()) < config.patience:
      if session.stop:
        return state, step
      start = time.monotonic()
      state, metrics = chunk(state, feed(step))
      logged = by_seed(metrics)
      session.seconds.add("fit_model", time.monotonic() - start)
      step += config.interval
      check_finite(means(logged), step, "model step")
      session.folder.log(step, logged | session.seconds.as_metrics(), "model")
      checkpoints.save(step, state)
      error = logged["model/selection_error"].mean()
      bar.advance(config.interval, {"error": error})
  return state, max(step, end)


def _take_over(run_dir: str, checkpoints: Checkpointer, state: Any) -> tuple[Any, int]:
  """The fit of another run as if it had been this one's."""
  path = pathlib.Path(run_dir) / "checkpoints" / "model"
  with Checkpointer(path, read_only=True) as others:
    state, step = others.restore_sound(state)
    assert step is not None  # `experiment` has looked
  checkpoints.save(step, state)
  return state, step
