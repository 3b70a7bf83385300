"""The compiled train step: phases 2 and 3 of Algorithm 1 (LOGO, AAMAS 2026)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int
import optax

from logo_jax.config import ExperimentConfig
from logo_jax.data.dataset import (
  CALIBRATION_ROWS,
  draw_starts,
  evenly_spaced,
  transitions,
  window_transitions,
)
from logo_jax.data.stream import Feed
from logo_jax.replay import ring as ring_lib
from logo_jax.replay import sampling, windows
from logo_jax.replay.ring import Ring
from logo_jax.replay.sampling import BlockWeights
from logo_jax.training import mixing
from logo_jax.training.compose import System, batch_shares, imagine_after
from logo_jax.training.imagine import imagine
from logo_jax.training.shards import mean_over_shards, relative_mass, shard_key
from logo_jax.types import (
  Batch,
  Dataset,
  LearnerState,
  Metrics,
  Params,
  Rows,
  Transition,
)


class TrainState(NamedTuple):
  """One run, whole: what is donated, checkpointed and restored."""

  learner: LearnerState
  model: Params  # () for model-free systems, like the next two
  uncertainty: Params
  ring: Ring | tuple[()]
  key: jax.Array
  step: Int[Array, ""]


class Draws(NamedTuple):
  """Rows of the dataset that one chunk reads."""

  # At which the transitions of each update start; or all rows of its windows.
  real: Int[Array, "U B"] | Int[Array, "U W T1"]
  starts: Int[Array, " S"] | tuple[()]  # of the imagined rollouts


class Calibration(NamedTuple):
  """Rows, evenly spaced, at which transitions start that uncertainty is made from."""

  held_out: Int[Array, " C"]  # of the selection split
  bank: Int[Array, " K"] | tuple[()]  # of the training split; () if none is wanted


class Train(NamedTuple):
  """Functions of one run; callers map over seeds and devices."""

  # (key, model params, data) -> state; a feed's draws are those of `calibration`
  init: Callable[[jax.Array, Params, Dataset | Feed], TrainState]
  # One collection, then `collect_interval` updates. A dataset is drawn from; a feed has
  # been.
  chunk: Callable[[TrainState, Dataset | Feed], tuple[TrainState, Metrics]]
  # (key of the state, its step, data) -> what the chunk draws; no rows are read
  draw: Callable[[jax.Array, jax.Array, Dataset], Draws]
  calibration: Callable[[Dataset], Calibration]  # rows that `init` reads


class _UpdateKeys(NamedTuple):
  coin: jax.Array  # the same on all devices
  real: jax.Array
  imagined: jax.Array
  update: jax.Array


class _Source(NamedTuple):
  """The ring, ready to draw from until the next collection."""

  ring: Ring
  blocks: BlockWeights
  mass: jax.Array  # weight of drawn rows; this device's relative to the others'
  runs: windows.Runs | tuple[()]  # rollouts' rows, where windows are learned from
  ready: jax.Array  # bool [], imagined rows are learned from


def make_train(
  system: System, config: ExperimentConfig, axis_name: str | None = None
) -> Train:
  """Builds the functions that train one run.

  Args:
    system: its components.
    config: budget, horizon and mixing.
    axis_name: mapped axis over the `config.data_parallel` devices that share a batch.

  Returns:
    Pure functions; donate the state.
  """
  step = _TrainStep(system, config, axis_name)
  return Train(step.init, step.chunk, step.draw, step.calibration)


class _TrainStep:
  def __init__(self, system: System, config: ExperimentConfig, axis_name: str | None):
    self._learner, self._imagination = system
    self._config = config
    self._axis = axis_name
    num_real, num_imagined = batch_shares(config)
    by_coin = self._imagination is not None and config.mix == "bernoulli"
    self._real_share = (
      config.real_share if by_coin else num_real / (num_real + num_imagined)
    )
    self._window = window = self._learner.window
    self._num_real, self._num_imagined = num_real // window, num_imagined // window
    self._num_starts = config.num_starts // config.data_parallel
    self._imagine_after = imagine_after(config)

  def init(
    self, key: jax.Array, model_params: Params, data: Dataset | Feed
  ) -> TrainState:
    k_learner, k_calibrate, k_steps = jax.random.split(key, 3)
    learner = self._learner.init(k_learner)
    uncertainty, ring = (), ()
    if self._imagination is not None:
      model, scorer, *_ = self._imagination
      if isinstance(data, Dataset):
        data = Feed(data.rows, self.calibration(data))
      held_out = transitions(data.rows, data.draws.held_out)
      bank = transitions(data.rows, data.draws.bank) if scorer.bank_size else ()
      uncertainty = scorer.init(model, model_params, held_out, bank, k_calibrate)
      params = (model_params, uncertainty, learner.params)
      index = jnp.zeros(self._num_starts, jnp.int32)
      starts = jax.eval_shape(transitions, data.rows, index)
      shapes = jax.eval_shape(self._collect, params, starts, k_steps)
      ring = ring_lib.init(shapes, self._config.replay_collections)
    return TrainState(learner, model_params, uncertainty, ring, k_steps, jnp.int32(0))

  def calibration(self, data: Dataset) -> Calibration:
    bank_size = self._imagination.uncertainty.bank_size if self._imagination else 0
    bank = evenly_spaced(data.train, bank_size) if bank_size else ()
    return Calibration(evenly_spaced(data.select, CALIBRATION_ROWS), bank)

  def draw(self, key: jax.Array, step: jax.Array, data: Dataset) -> Draws:
    k_starts, _, k_updates = self._chunk_keys(key, step)

    def real(count: jax.Array) -> jax.Array:
      k_real = self._update_keys(k_updates, count).real
      if self._window > 1:
        return windows.draw(data.starts, self._num_real, self._window, k_real)
      return draw_starts(data.starts, self._num_real, k_real)

    starts = ()
    if self._imagination is not None:
      starts = draw_starts(data.starts, self._num_starts, k_starts)
    return Draws(jax.vmap(real)(jnp.arange(self._config.collect_interval)), starts)

  def chunk(
    self, state: TrainState, data: Dataset | Feed
  ) -> tuple[TrainState, Metrics]:
    if isinstance(data, Dataset):
      data = Feed(data.rows, self.draw(state.key, state.step, data))
    rows, draws = data
    _, k_roll, k_updates = self._chunk_keys(state.key, state.step)
    collected: Metrics = {}
    source = None
    if self._imagination is not None:
      starts = transitions(rows, draws.starts)
      state, source, collected = self._write(state, starts, k_roll)

    def update(learner: LearnerState, count_and_index: tuple[jax.Array, jax.Array]):
      count, index = count_and_index
      keys = self._update_keys(k_updates, count)
      real = self._real(rows, index)
      batch = self._batch(real, state.uncertainty, source, keys)
      return self._learner.update(learner, batch, keys.update)

    interval = self._config.collect_interval
    counted = (jnp.arange(interval), draws.real)
    learner, metrics = jax.lax.scan(update, state.learner, counted)
    metrics = jax.tree.map(lambda x: x.mean(), metrics) | collected
    metrics["learner/parameter_norm"] = _norm(learner.params)
    state = state._replace(learner=learner, step=state.step + interval)
    return state, mean_over_shards(metrics, self._axis)

  def _chunk_keys(self, key: jax.Array, step: jax.Array) -> tuple[jax.Array, ...]:
    """Of the starts of rollouts, of the rollouts, and of the updates."""
    k_collect, k_updates = jax.random.split(jax.random.fold_in(key, step))
    k_starts, k_roll = jax.random.split(shard_key(k_collect, self._axis))
    return k_starts, k_roll, k_updates

  def _update_keys(self, key: jax.Array, count: jax.Array) -> _UpdateKeys:
    k_coin, key = jax.random.split(jax.random.fold_in(key, count))
    k_batch, k_update = jax.random.split(shard_key(key, self._axis))
    k_real, k_imagined = jax.random.split(k_batch)
    return _UpdateKeys(k_coin, k_real, k_imagined, k_update)

  # Phase 2.

  def _collect(self, params, starts: Transition, key: jax.Array) -> ring_lib.Collection:
    assert self._imagination is not None
    horizon = self._config.horizon
    return imagine(self._imagination, self._learner, params, starts, horizon, key)

  def _write(self, state: TrainState, starts: Transition, key: jax.Array):
    assert self._imagination is not None and isinstance(state.ring, Ring)
    params = (state.model, state.uncertainty, state.learner.params)
    ring = state.ring
    # What policies imagine that have hardly begun to learn is forgotten at once.
    ready = state.step >= self._imagine_after
    before = state.step - self._config.collect_interval
    old = ring.content.valid & (before >= self._imagine_after)
    ring = ring._replace(content=ring.content._replace(valid=old))
    ring = ring_lib.write(ring, self._collect(params, starts, key))
    _, uncertainty, weighting, eventful, _ = self._imagination
    content = ring.content
    u = uncertainty.calibrate(state.uncertainty, content.score)
    valid = content.valid
    log_weight = jnp.where(valid, weighting.log_weight(u), -jnp.inf)
    blocks = sampling.block_weights(log_weight)
    mass = relative_mass(jax.nn.logsumexp(log_weight), self._axis)
    runs = windows.runs_of(valid) if self._window > 1 else ()
    num = jnp.maximum(valid.sum(), 1)
    events = valid & eventful(content.rows.reward, content.rows.discount)
    # At the floor, P_u = 0; nothing is clipped where all weigh the same.
    clipped = valid & (log_weight <= 0) & (log_weight < log_weight.max())
    metrics = {
      "imagination/uncertainty": jnp.where(valid, u, 0).sum() / num,
      "imagination/effective_sample_size": sampling.effective_sample_size(log_weight),
      "imagination/share_clipped": clipped.sum() / num,
      "imagination/share_eventful": events.sum() / num,
      "imagination/share_eventful_drawn": sampling.share(log_weight, events),
      # Times the devices: metrics are means over them, but each has rows of its own.
      "imagination/rows": num * float(self._config.data_parallel),
    }
    return state._replace(ring=ring), _Source(ring, blocks, mass, runs, ready), metrics

  # Phase 3.

  def _real(self, rows: Rows, index: jax.Array) -> Batch:
    """The real part of a batch, in which all steps of the dataset weigh alike."""
    share = self._real_share
    if self._window == 1:
      return mixing.batch_of(transitions(rows, index), 1.0, True, share)
    t = window_transitions(rows, index)
    return mixing.batch_of(t, windows.weights(index), True, share)

  def _imagined(
    self, source: _Source, uncertainty_params: Params, key: jax.Array
  ) -> Batch:
    """The imagined part, drawn by weight; windows lie around the rows drawn."""
    assert self._imagination is not None
    _, uncertainty, weighting, *_ = self._imagination
    content, weight = source.ring.content, source.mass
    num, length = self._num_imagined, self._window
    if length == 1:
      index = sampling.sample(source.blocks, num, key)
      t = transitions(content.rows, index)
    else:
      assert isinstance(source.runs, windows.Runs)
      k_anchor, k_place = jax.random.split(key)
      anchor = sampling.sample(source.blocks, num, k_anchor)
      place = windows.draw_places(num, length, k_place)
      index = windows.in_runs(source.runs, anchor, place, length)
      t = window_transitions(content.rows, index)
      weight = weight * windows.weights(index)
      index = index[..., :-1]
    u = uncertainty.calibrate(uncertainty_params, content.score[index])
    t = weighting.on_sample(t, u)
    return mixing.batch_of(t, weight, False, self._real_share)

  def _batch(
    self,
    real: Batch,
    uncertainty_params: Params,
    source: _Source | None,
    keys: _UpdateKeys,
  ) -> Batch:
    """Real and imagined rows as `config.mix` says."""
    if source is None or self._num_imagined == 0:
      return real
    imagined = self._imagined(source, uncertainty_params, keys.imagined)
    if self._config.mix == "bernoulli":
      coin = jax.random.uniform(keys.coin)
      return mixing.by_coin(real, imagined, coin, source.ready)
    return mixing.side_by_side(real, imagined, source.ready)


def _norm(params: Params) -> jax.Array:
  """Of the parameters proper; a count beside them is none."""
  leaves = jax.tree.leaves(params)
  return optax.global_norm([x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)])
