"""Fitting the world model: phase 1 of Algorithm 1 (LOGO, AAMAS 2026).

At first on single transitions. The last `unroll_updates` steps are on windows of
`unroll` of them, in which the model goes on from its own predictions and learns from
the error of each. A step is on as many transitions in either phase. The selection error
is that of such windows from the start. A model with a memory has windows of a length of
its own, of what was observed, in all of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import optax

from logo_jax.configs.config import FitConfig
from logo_jax.data.stream import Feed
from logo_jax.training import optimizers, segments
from logo_jax.training.shards import mean_over_shards, shard_key
from logo_jax.types import Dataset, Metrics, Params, Rows, Transition, WorldModel

_SELECT_BATCHES = 64  # of the fit's batch size, from the selection split


class FitState(NamedTuple):
  """Everything the fit changes."""

  params: Params
  opt_state: Any
  best_params: Params  # those of the smallest selection error so far
  best_loss: Float[Array, "*m"]  # of each member, where the model has some
  stale: Int[Array, ""]  # evaluations since it improved
  key: jax.Array
  step: Int[Array, ""]


class FitDraws(NamedTuple):
  """Rows at which the transitions of one chunk start."""

  # Of each step, and of the evaluation, which has the same in every chunk.
  train: Int[Array, "U B"] | Int[Array, "U B T1"]
  select: Int[Array, "E B2"] | Int[Array, "E B2 T1"]


class Fit(NamedTuple):
  """Functions of one run; callers map over seeds and devices."""

  init: Callable[[jax.Array, Dataset | Feed], FitState]
  # `interval` steps, one evaluation. A dataset is drawn from; a feed has been.
  chunk: Callable[[FitState, Dataset | Feed], tuple[FitState, Metrics]]
  # (key of the state, its step, data) -> what the chunk draws; no rows are read
  draw: Callable[[jax.Array, jax.Array, Dataset], FitDraws]


def phases(config: FitConfig) -> tuple[tuple[int, int], ...]:
  """Lengths of the training windows, each with the step at which its phase ends."""
  single = config.updates - config.unroll_updates
  return tuple(
    (length, end)
    for length, end, steps in (
      (1, single, single),
      (config.unroll, config.updates, config.unroll_updates),
    )
    if steps
  )


def make_fit(
  model: WorldModel,
  config: FitConfig,
  axis_name: str | None = None,
  shards: int = 1,
  length: int = 1,
) -> Fit:
  """Builds the compiled parts of the fit for one run; callers map over seeds.

  Args:
    model: the world model.
    config: budget and step length.
    axis_name: mapped axis over the devices that share a batch, if any.
    shards: how many devices those are.
    length: of the training windows; the state is the same for all.

  Returns:
    Pure functions; donate the state. A chunk's metrics are means over its steps, and
    the error on the selection split after them.
  """
  fit = _FitStep(model, config, axis_name, config.batch_size // shards, length)
  return Fit(fit.init, fit.chunk, fit.draw)


class _FitStep:
  def __init__(
    self,
    model: WorldModel,
    config: FitConfig,
    axis_name: str | None,
    batch_size: int,
    length: int,
  ):
    # By the fit's own count of steps: an optimizer's stands still where a phase stops
    # early.
    self._rate = optax.cosine_decay_schedule(config.learning_rate, config.updates)
    self._optimizer = optimizers.BY_NAME[config.optimizer](1.0, axis_name)
    for _ in model.error_shape:  # members are clipped as if alone
      self._optimizer = optimizers.of_each(self._optimizer)
    self._model = model
    self._config = config
    self._axis = axis_name
    self._batch_size = batch_size  # of this device
    self._length = max(length, model.window)
    self._select_length = max(config.unroll, model.window)

  def init(self, key: jax.Array, data: Dataset | Feed) -> FitState:
    del data
    k_init, k_steps = jax.random.split(key)
    params = self._model.init(k_init)
    return FitState(
      params=params,
      opt_state=self._optimizer.init(params),
      best_params=jax.tree.map(jnp.copy, params),  # a copy: the state is donated
      best_loss=jnp.full(self._model.error_shape, jnp.inf, jnp.float32),
      stale=jnp.int32(0),
      key=k_steps,
      step=jnp.int32(0),
    )

  def draw(self, key: jax.Array, step: jax.Array, data: Dataset) -> FitDraws:
    def train(count: jax.Array) -> jax.Array:
      k_batch, _ = self._keys(key, step + count)
      return segments.draw(data.train, self._batch_size, self._length, k_batch)

    def select(index: jax.Array) -> jax.Array:
      k_batch, _ = jax.random.split(jax.random.key(index))
      size = self._config.batch_size
      return segments.draw(data.select, size, self._select_length, k_batch)

    return FitDraws(
      jax.vmap(train)(jnp.arange(self._config.interval)),
      jax.vmap(select)(jnp.arange(_SELECT_BATCHES)),
    )

  def chunk(self, state: FitState, data: Dataset | Feed) -> tuple[FitState, Metrics]:
    if isinstance(data, Dataset):
      data = Feed(data.rows, self.draw(state.key, state.step, data))
    rows, draws = data
    new, metrics = jax.lax.scan(
      lambda s, index: self._update(s, *segments.read(rows, index)), state, draws.train
    )
    loss = self._selection_error(new.params, rows, draws.select)
    better = loss < new.best_loss
    new = new._replace(
      best_params=jax.tree.map(
        lambda x, old: _where(better, x, old), new.params, new.best_params
      ),
      best_loss=jnp.minimum(loss, new.best_loss),
      stale=jnp.where(better.any(), 0, new.stale + 1),
    )
    # A run that has stopped stays as it is while others beside it go on. All count on,
    # so that what a chunk draws is known before it is known who has stopped.
    going = state.stale < self._config.patience
    old, key, step = state._replace(key=()), new.key, new.step  # the key never changes
    kept = jax.tree.map(lambda x, y: jnp.where(going, x, y), new._replace(key=()), old)
    state = kept._replace(key=key, step=step)
    metrics = jax.tree.map(lambda x: x.mean(), metrics)
    metrics = mean_over_shards(metrics, self._axis)
    return state, metrics | {
      "model/selection_error": loss.mean(),
      "model/parameter_norm": optax.global_norm(new.params),
    }

  def _keys(self, key: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of one step: of the batch, and of the loss."""
    k_batch, k_loss = jax.random.split(
      shard_key(jax.random.fold_in(key, step), self._axis)
    )
    return k_batch, k_loss

  def _update(
    self, state: FitState, batch: Transition, weight: jax.Array
  ) -> tuple[FitState, Metrics]:
    _, k_loss = self._keys(state.key, state.step)
    grads, metrics = jax.grad(self._model.loss, has_aux=True)(
      state.params, batch, weight, k_loss
    )
    updates, opt_state = self._optimizer.update(grads, state.opt_state, state.params)
    updates = optax.tree.scale(self._rate(state.step), updates)
    params = optax.apply_updates(state.params, updates)
    new = state._replace(params=params, opt_state=opt_state, step=state.step + 1)
    return new, metrics

  def _selection_error(self, params: Params, rows: Rows, starts: jax.Array):
    """On the same transitions each time."""

    def one(count_and_index: tuple[jax.Array, jax.Array]) -> jax.Array:
      count, index = count_and_index
      _, k_loss = jax.random.split(jax.random.key(count))
      return self._model.validate(params, *segments.read(rows, index), k_loss)

    return jax.lax.map(one, (jnp.arange(_SELECT_BATCHES), starts)).mean(0)


def _where(better: jax.Array, x: jax.Array, old: jax.Array) -> jax.Array:
  """Selects by member, the leading axis, where there are some."""
  return jnp.where(better.reshape(*better.shape, *[1] * (x.ndim - better.ndim)), x, old)
