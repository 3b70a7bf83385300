"""Fitting the world model: phase 1 of Algorithm 1 (LOGO, AAMAS 2026)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import optax

from logo_jax.config import FitConfig
from logo_jax.data.dataset import transitions
from logo_jax.training import optimizers
from logo_jax.training.shards import mean_over_shards, shard_key
from logo_jax.types import Dataset, Metrics, Params, WorldModel

_SELECT_BATCHES = 16  # of the fit's batch size, from the selection split


class FitState(NamedTuple):
  """Everything the fit changes."""

  params: Params
  opt_state: Any
  best_params: Params  # those of the smallest selection error so far
  best_loss: Float[Array, ""]
  stale: Int[Array, ""]  # evaluations since it improved
  key: jax.Array
  step: Int[Array, ""]


class Fit(NamedTuple):
  """`init(key, data)` and `chunk(state, data)`: `interval` steps, one evaluation."""

  init: Callable[[jax.Array, Dataset], FitState]
  chunk: Callable[[FitState, Dataset], tuple[FitState, Metrics]]


def make_fit(
  model: WorldModel, config: FitConfig, axis_name: str | None = None, shards: int = 1
) -> Fit:
  """Builds the compiled parts of the fit for one run; callers map over seeds.

  Args:
    model: the world model.
    config: budget and step length.
    axis_name: mapped axis over the devices that share a batch, if any.
    shards: how many devices those are.

  Returns:
    Pure functions; donate the state. A chunk's metrics are means over its steps, and
    the error on the selection split after them.
  """
  fit = _FitStep(model, config, axis_name, config.batch_size // shards)
  return Fit(fit.init, fit.chunk)


class _FitStep:
  def __init__(
    self, model: WorldModel, config: FitConfig, axis_name: str | None, batch_size: int
  ):
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.updates)
    self._optimizer = optimizers.adam(schedule, axis_name)
    self._model = model
    self._config = config
    self._axis = axis_name
    self._batch_size = batch_size  # of this device

  def init(self, key: jax.Array, data: Dataset) -> FitState:
    del data
    k_init, k_steps = jax.random.split(key)
    params = self._model.init(k_init)
    return FitState(
      params=params,
      opt_state=self._optimizer.init(params),
      best_params=jax.tree.map(jnp.copy, params),  # a copy: the state is donated
      best_loss=jnp.float32(jnp.inf),
      stale=jnp.int32(0),
      key=k_steps,
      step=jnp.int32(0),
    )

  def chunk(self, state: FitState, data: Dataset) -> tuple[FitState, Metrics]:
    new, metrics = jax.lax.scan(
      lambda s, _: self._update(s, data), state, length=self._config.interval
    )
    loss = self._selection_error(new.params, data)
    better = loss < new.best_loss
    new = new._replace(
      best_params=jax.tree.map(
        lambda x, old: jnp.where(better, x, old), new.params, new.best_params
      ),
      best_loss=jnp.minimum(loss, new.best_loss),
      stale=jnp.where(better, 0, new.stale + 1),
    )
    # A run that has stopped stays as it is while others beside it go on.
    going = state.stale < self._config.patience
    old, key = state._replace(key=()), new.key  # the key never changes
    kept = jax.tree.map(lambda x, y: jnp.where(going, x, y), new._replace(key=()), old)
    state = kept._replace(key=key)
    metrics = jax.tree.map(lambda x: x.mean(), metrics)
    metrics = mean_over_shards(metrics, self._axis)
    return state, metrics | {
      "model/selection_error": loss,
      "model/parameter_norm": optax.global_norm(new.params),
    }

  def _update(self, state: FitState, data: Dataset) -> tuple[FitState, Metrics]:
    key = jax.random.fold_in(state.key, state.step)
    k_batch, k_loss = jax.random.split(shard_key(key, self._axis))
    batch = _draw(data, data.train, self._batch_size, k_batch)
    grads, metrics = jax.grad(self._model.loss, has_aux=True)(
      state.params, batch, k_loss
    )
    updates, opt_state = self._optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new = state._replace(params=params, opt_state=opt_state, step=state.step + 1)
    return new, metrics

  def _selection_error(self, params: Params, data: Dataset) -> jax.Array:
    """On the same transitions each time."""

    def one(index: jax.Array) -> jax.Array:
      k_batch, k_loss = jax.random.split(jax.random.key(index))
      batch = _draw(data, data.select, self._config.batch_size, k_batch)
      return self._model.validate(params, batch, k_loss)

    return jax.lax.map(one, jnp.arange(_SELECT_BATCHES)).mean()


def _draw(data: Dataset, starts: jax.Array, num: int, key: jax.Array):
  index = jax.random.randint(key, (num,), 0, starts.shape[0])
  return transitions(data.rows, starts[index])
