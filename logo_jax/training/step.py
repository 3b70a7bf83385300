"""The compiled train step: phases 2 and 3 of Algorithm 1 (LOGO, AAMAS 2026)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int
import optax

from logo_jax.config import ExperimentConfig
from logo_jax.data.dataset import transitions
from logo_jax.replay import ring as ring_lib
from logo_jax.replay import sampling
from logo_jax.replay.ring import Ring
from logo_jax.replay.sampling import BlockWeights
from logo_jax.training.compose import System
from logo_jax.training.imagine import imagine
from logo_jax.training.shards import mean_over_shards, relative_mass, shard_key
from logo_jax.types import Batch, Dataset, LearnerState, Metrics, Params, Transition

_CALIBRATION_ROWS = 2_048  # of the selection split


class TrainState(NamedTuple):
  """One run, whole: what is donated, checkpointed and restored."""

  learner: LearnerState
  model: Params  # () for model-free systems, like the next two
  uncertainty: Params
  ring: Ring | tuple[()]
  key: jax.Array
  step: Int[Array, ""]


class Train(NamedTuple):
  """Functions of one run; callers map over seeds and devices."""

  # (key, model params, data) -> state
  init: Callable[[jax.Array, Params, Dataset], TrainState]
  # One collection, then `collect_interval` updates.
  chunk: Callable[[TrainState, Dataset], tuple[TrainState, Metrics]]


class _Source(NamedTuple):
  """The ring, ready to draw from until the next collection."""

  ring: Ring
  blocks: BlockWeights
  mass: jax.Array  # of this device's rows relative to the others'


def make_train(
  system: System,
  config: ExperimentConfig,
  axis_name: str | None = None,
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
  return Train(step.init, step.chunk)


class _TrainStep:
  def __init__(self, system: System, config: ExperimentConfig, axis_name: str | None):
    self._learner, self._imagination = system
    self._config = config
    self._axis = axis_name
    self._batch_size = config.batch_size // config.data_parallel
    self._num_starts = config.num_starts // config.data_parallel

  def init(self, key: jax.Array, model_params: Params, data: Dataset) -> TrainState:
    k_learner, k_calibrate, k_steps = jax.random.split(key, 3)
    learner = self._learner.init(k_learner)
    uncertainty, ring = (), ()
    if self._imagination is not None:
      model, scorer, _ = self._imagination
      num = min(_CALIBRATION_ROWS, data.select.shape[0])
      index = jnp.linspace(0, data.select.shape[0] - 1, num).astype(jnp.int32)
      held_out = transitions(data.rows, data.select[index])
      uncertainty = scorer.init(model, model_params, held_out, k_calibrate)
      params = (model_params, uncertainty, learner.params)
      shapes = jax.eval_shape(self._collect, params, data, k_steps)
      ring = ring_lib.init(shapes, self._config.replay_collections)
    return TrainState(learner, model_params, uncertainty, ring, k_steps, jnp.int32(0))

  def chunk(self, state: TrainState, data: Dataset) -> tuple[TrainState, Metrics]:
    key = jax.random.fold_in(state.key, state.step)
    k_collect, k_updates = jax.random.split(key)
    collected: Metrics = {}
    source = None
    if self._imagination is not None:
      k_collect = shard_key(k_collect, self._axis)
      state, source, collected = self._write(state, data, k_collect)

    def update(learner: LearnerState, count: jax.Array):
      k_coin, key = jax.random.split(jax.random.fold_in(k_updates, count))
      k_batch, k_update = jax.random.split(shard_key(key, self._axis))
      keys = (k_coin, k_batch)
      batch = self._batch(data, state.uncertainty, source, keys)
      return self._learner.update(learner, batch, k_update)

    interval = self._config.collect_interval
    learner, metrics = jax.lax.scan(update, state.learner, jnp.arange(interval))
    metrics = jax.tree.map(lambda x: x.mean(), metrics) | collected
    metrics["learner/parameter_norm"] = optax.global_norm(learner.params)
    state = state._replace(learner=learner, step=state.step + interval)
    return state, mean_over_shards(metrics, self._axis)

  # Phase 2.

  def _collect(self, params, data: Dataset, key: jax.Array) -> ring_lib.Collection:
    k_starts, k_roll = jax.random.split(key)
    starts = self._draw_real(data, self._num_starts, k_starts)
    assert self._imagination is not None
    act, horizon = self._learner.act, self._config.horizon
    return imagine(self._imagination, act, params, starts, horizon, k_roll)

  def _write(self, state: TrainState, data: Dataset, key: jax.Array):
    assert self._imagination is not None and isinstance(state.ring, Ring)
    params = (state.model, state.uncertainty, state.learner.params)
    ring = ring_lib.write(state.ring, self._collect(params, data, key))
    _, uncertainty, weighting = self._imagination
    u = uncertainty.calibrate(state.uncertainty, ring.content.score)
    valid = ring.content.valid
    log_weight = jnp.where(valid, weighting.log_weight(u), -jnp.inf)
    blocks = sampling.block_weights(log_weight)
    mass = relative_mass(jax.nn.logsumexp(log_weight), self._axis)
    num = jnp.maximum(valid.sum(), 1)
    # At the floor, P_u = 0; nothing is clipped where all weigh the same.
    clipped = valid & (log_weight <= 0) & (log_weight < log_weight.max())
    metrics = {
      "imagination/uncertainty": jnp.where(valid, u, 0).sum() / num,
      "imagination/effective_sample_size": sampling.effective_sample_size(log_weight),
      "imagination/share_clipped": clipped.sum() / num,
      # Times the devices: metrics are means over them, but each has rows of its own.
      "imagination/rows": num * float(self._config.data_parallel),
    }
    return state._replace(ring=ring), _Source(ring, blocks, mass), metrics

  # Phase 3.

  def _draw_real(self, data: Dataset, num: int, key: jax.Array) -> Transition:
    index = jax.random.randint(key, (num,), 0, data.starts.shape[0])
    return transitions(data.rows, data.starts[index])

  def _draw_imagined(
    self, source: _Source, uncertainty_params: Params, num: int, key: jax.Array
  ) -> Transition:
    assert self._imagination is not None
    _, uncertainty, weighting = self._imagination
    index = sampling.sample(source.blocks, num, key)
    content = source.ring.content
    u = uncertainty.calibrate(uncertainty_params, content.score[index])
    return weighting.on_sample(transitions(content.rows, index), u)

  def _batch(
    self,
    data: Dataset,
    uncertainty_params: Params,
    source: _Source | None,
    keys: tuple[jax.Array, jax.Array],
  ) -> Batch:
    """Real rows uniformly, imagined ones by their weight; see `config.mix`.

    `keys`: of the coin, the same on all devices, and of the rows.
    """
    size, share = self._batch_size, self._config.real_share
    k_coin, k_rows = keys
    k_real, k_imagined = jax.random.split(k_rows)
    if source is None:
      return _batch(self._draw_real(data, size, k_real), 1.0, True, 1.0)
    by_coin = self._config.mix == "bernoulli"
    num_real = size if by_coin else round(share * size)
    num_imagined = size if by_coin else size - num_real
    share = share if by_coin else num_real / size
    real = _batch(self._draw_real(data, num_real, k_real), 1.0, True, share)
    if num_imagined == 0:
      return real
    t = self._draw_imagined(source, uncertainty_params, num_imagined, k_imagined)
    imagined = _batch(t, source.mass, False, share)
    if by_coin:
      heads = jax.random.uniform(k_coin) < share
      return jax.tree.map(lambda a, b: jnp.where(heads, a, b), real, imagined)
    shared = real.real_share
    real, imagined = (b._replace(real_share=()) for b in (real, imagined))
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), real, imagined)
    return both._replace(real_share=shared)


def _batch(t: Transition, weight: jax.Array | float, real: bool, share: float) -> Batch:
  shape = t.reward.shape
  weights = jnp.broadcast_to(jnp.asarray(weight, jnp.float32), shape)
  return Batch(t, weights, jnp.full(shape, real), jnp.float32(share))
