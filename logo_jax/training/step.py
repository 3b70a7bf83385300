"""The compiled train step: one chunk of a learner's updates, from whatever source."""

from collections.abc import Callable
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree
import optax

from logo_jax.configs.config import ExperimentConfig
from logo_jax.data.dataset import CALIBRATION_ROWS, evenly_spaced, transitions
from logo_jax.data.stream import Feed
from logo_jax.training.compose import System, batch_shares
from logo_jax.training.shards import mean_over_shards, shard_key
from logo_jax.training.sources import (
  Acting,
  Source,
  UpdateKeys,
  believed,
  mixed,
  on_policy,
  planned,
  recorded,
)
from logo_jax.types import Dataset, LearnerState, Metrics, Params

_INTERVAL = 500  # updates of a prelude's chunk, or what divides its updates


class TrainState(NamedTuple):
  """One run, whole: what is donated, checkpointed and restored."""

  learner: LearnerState
  model: Params  # () for model-free systems, like the next two
  uncertainty: Params
  ring: Any  # what the source keeps: a `replay.ring.Ring`, or ()
  key: jax.Array
  step: Int[Array, ""]


class Stage(NamedTuple):
  """A phase of the learner's; see `types.Prelude`."""

  name: str
  update: Callable[..., tuple[LearnerState, Metrics]]
  eats: str
  updates: int
  interval: int  # updates of a chunk


class Draws(NamedTuple):
  """Rows of the dataset that one chunk reads."""

  updates: PyTree  # int32 [U, ...], of each update
  chunk: PyTree  # int32, at its beginning: the starts of imagined rollouts; or ()


class Calibration(NamedTuple):
  """Rows, evenly spaced, at which transitions start that uncertainty is made from."""

  held_out: Int[Array, " C"]  # of the selection split
  bank: Int[Array, " K"] | tuple[()]  # of the training split; () if none is wanted


class Train(NamedTuple):
  """Functions of one run; callers map over seeds and devices."""

  # (key, model params, data) -> state; a feed's draws are those of `calibration`
  init: Callable[[jax.Array, Params, Dataset | Feed], TrainState]
  # What the source does at first, then `interval` updates. A dataset is drawn from; a
  # feed has been.
  chunk: Callable[[TrainState, Dataset | Feed], tuple[TrainState, Metrics]]
  # (key of the state, its step, data) -> what the chunk draws; no rows are read
  draw: Callable[[jax.Array, jax.Array, Dataset], Draws]
  calibration: Callable[[Dataset], Calibration]  # rows that `init` reads


def make_train(
  system: System,
  config: ExperimentConfig,
  axis_name: str | None = None,
  phase: str = "train",
) -> Train:
  """Builds the functions of one phase of a run's training.

  Args:
    system: its components.
    config: budget, horizon and mixing.
    axis_name: mapped axis over the `config.data_parallel` devices that share a batch.
    phase: "train", or one of the learner's preludes; the state is the same for all.

  Returns:
    Pure functions; donate the state.
  """
  step = _TrainStep(system, config, axis_name, phase)
  return Train(step.init, step.chunk, step.draw, step.calibration)


def phase_keys(key: jax.Array) -> jax.Array:
  """Three keys of a phase: of the learner, of the uncertainty, of all steps."""
  return jax.random.split(key, 3)


def stages(system: System, config: ExperimentConfig) -> tuple[Stage, ...]:
  """The phases that the learner goes through, in order; the last is "train"."""
  learner = system.learner
  preludes = (
    Stage(p.name, p.update, p.eats, p.updates, math.gcd(p.updates, _INTERVAL))
    for p in learner.preludes
    if p.updates
  )
  total, interval = config.total_updates, config.collect_interval
  return *preludes, Stage("train", learner.update, learner.eats, total, interval)


def _source(
  stage: Stage, system: System, config: ExperimentConfig, axis: str | None
) -> Source:
  if stage.eats == "rollouts":
    return on_policy.make(system, config, axis)
  size = config.batch_size // config.data_parallel
  source = recorded.make(size, system.window)
  if system.beliefs is not None:
    source = believed.make(source, system.beliefs)
  if stage.name != "train":
    return source
  if system.imagination is not None and batch_shares(config)[1] > 0:
    source = mixed.make(system, config, axis)
  if system.planner is not None and system.learner.advice_weight:
    source = planned.make(source, system.planner)
  return source


class _TrainStep:
  def __init__(
    self, system: System, config: ExperimentConfig, axis_name: str | None, phase: str
  ):
    stage = {s.name: s for s in stages(system, config)}[phase]
    self._learner, self._imagination = system.learner, system.imagination
    self._update, self._interval = stage.update, stage.interval
    self._axis = axis_name
    self._source = _source(stage, system, config, axis_name)

  def init(
    self, key: jax.Array, model_params: Params, data: Dataset | Feed
  ) -> TrainState:
    k_learner, k_calibrate, k_steps = phase_keys(key)
    learner = self._learner.init(k_learner)
    uncertainty, kept = (), ()
    if self._imagination is not None:
      model, scorer, *_ = self._imagination
      if isinstance(data, Dataset):
        data = Feed(data.rows, self.calibration(data))
      held_out = transitions(data.rows, data.draws.held_out)
      bank = transitions(data.rows, data.draws.bank) if scorer.bank_size else ()
      uncertainty = scorer.init(model, model_params, held_out, bank, k_calibrate)
      acting = Acting(model_params, uncertainty, learner.params)
      kept = self._source.init(acting, held_out, k_steps)
    return TrainState(learner, model_params, uncertainty, kept, k_steps, jnp.int32(0))

  def calibration(self, data: Dataset) -> Calibration:
    bank_size = self._imagination.uncertainty.bank_size if self._imagination else 0
    bank = evenly_spaced(data.train, bank_size) if bank_size else ()
    return Calibration(evenly_spaced(data.select, CALIBRATION_ROWS), bank)

  def draw(self, key: jax.Array, step: jax.Array, data: Dataset) -> Draws:
    k_chunk, _, k_updates = self._chunk_keys(key, step)

    def one(count: jax.Array) -> PyTree:
      return self._source.plan_update(data, self._update_keys(k_updates, count))

    updates = jax.vmap(one)(jnp.arange(self._interval))
    return Draws(updates, self._source.plan_chunk(data, k_chunk))

  def chunk(
    self, state: TrainState, data: Dataset | Feed
  ) -> tuple[TrainState, Metrics]:
    if isinstance(data, Dataset):
      data = Feed(data.rows, self.draw(state.key, state.step, data))
    rows, draws = data
    _, k_refresh, k_updates = self._chunk_keys(state.key, state.step)
    acting = Acting(state.model, state.uncertainty, state.learner.params)
    kept, ready, refreshed = self._source.refresh(
      state.ring, acting, rows, draws.chunk, k_refresh, state.step
    )

    def update(learner: LearnerState, count_and_index: tuple[jax.Array, PyTree]):
      count, index = count_and_index
      keys = self._update_keys(k_updates, count)
      now = acting._replace(learner=learner.params)
      batch, drawn = self._source.draw(ready, now, rows, index, keys)
      learner, metrics = self._update(learner, batch, keys.update)
      return learner, metrics | drawn

    counted = (jnp.arange(self._interval), draws.updates)
    learner, metrics = jax.lax.scan(update, state.learner, counted)
    metrics = jax.tree.map(lambda x: x.mean(), metrics) | refreshed
    metrics["learner/parameter_norm"] = _norm(learner.params)
    step = state.step + self._interval
    state = state._replace(learner=learner, ring=kept, step=step)
    return state, mean_over_shards(metrics, self._axis)

  def _chunk_keys(self, key: jax.Array, step: jax.Array) -> tuple[jax.Array, ...]:
    """Of what the chunk reads at first, of what it does then, and of the updates."""
    k_collect, k_updates = jax.random.split(jax.random.fold_in(key, step))
    k_chunk, k_refresh = jax.random.split(shard_key(k_collect, self._axis))
    return k_chunk, k_refresh, k_updates

  def _update_keys(self, key: jax.Array, count: jax.Array) -> UpdateKeys:
    k_coin, key = jax.random.split(jax.random.fold_in(key, count))
    k_batch, k_update = jax.random.split(shard_key(key, self._axis))
    k_real, k_imagined = jax.random.split(k_batch)
    return UpdateKeys(k_coin, k_real, k_imagined, k_update)


def _norm(params: Params) -> jax.Array:
  """Of the parameters proper; a count beside them is none."""
  leaves = jax.tree.leaves(params)
  return optax.global_norm([x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)])
