"""Errors of a world model on held-out episodes, beside persistence."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.data import stream
from logo_jax.data.dataset import LoadedDataset, transitions, window_starts
from logo_jax.ops.standardise import Moments, varying_mean
from logo_jax.types import Metrics, Params, Rows, Statistics, WorldModel

HORIZONS = (1, 5, 10, 15)
_MAX_ROWS = 4_096  # of the test split, evenly spaced


def model_errors(model: WorldModel, params: Params, loaded: LoadedDataset) -> dict:
  """Measures a model on the test episodes.

  Args:
    model: the world model.
    params: with a leading axis of seeds.
    loaded: the dataset; its test split is used.

  Returns:
    Means over seeds: one-step figures, and `open_loop`, errors after 1, 5, 10 and 15
    steps of recorded actions. State and observation errors are root mean squares in
    units of the features' standard deviation, over the features that vary.
  """
  data, statistics = loaded.data, loaded.statistics

  # The rows go in as an argument: a captured array would be compiled in as a constant.
  @functools.partial(jax.jit, static_argnames="steps")
  def measure(params: Params, rows: Rows, index: jax.Array, steps: int) -> Metrics:
    def one_seed(params: Params) -> Metrics:
      if steps == 0:
        return _one_step(model, params, rows, statistics, index)
      return _open_loop(model, params, rows, statistics, index, steps)

    return jax.vmap(one_seed)(params)

  def errors(starts: np.ndarray, steps: int) -> dict[str, float]:
    rows, index = stream.gather_if_on_host(data.rows, _thin(starts), max(steps, 1))
    return _floats(measure(params, rows, index, steps))

  result: dict[str, Any] = errors(np.asarray(data.test), 0)
  result["open_loop"] = {}
  for steps in HORIZONS:
    windows = window_starts(loaded.test_episodes, steps)
    if len(windows):
      result["open_loop"][str(steps)] = errors(windows, steps)
  return result


def r_squared(target: jax.Array, prediction: jax.Array) -> jax.Array:
  """1 - residual sum of squares / total sum of squares."""
  residual = jnp.mean((target - prediction) ** 2)
  return 1.0 - residual / jnp.maximum(jnp.var(target), 1e-12)


def rmse(x: jax.Array, y: jax.Array, moments: Moments) -> jax.Array:
  """Root mean square of (x - y) / std over the features that vary."""
  std = jnp.where(moments.varies, moments.std, 1.0)
  return jnp.sqrt(varying_mean(((x - y) / std) ** 2, moments))


def _one_step(
  model: WorldModel,
  params: Params,
  rows: Rows,
  statistics: Statistics,
  index: jax.Array,
) -> Metrics:
  t = transitions(rows, index)
  k_start, k_step = jax.random.split(jax.random.key(0))
  _, p = model.step(params, model.start(params, t, k_start), t.action, k_step)
  ended, said_ended = t.discount == 0, p.discount < 0.5
  return {
    "state_rmse": rmse(p.state, t.next_state, statistics.state),
    "state_rmse_persistence": rmse(t.state, t.next_state, statistics.state),
    "obs_rmse": rmse(p.obs, t.next_obs, statistics.obs),
    "obs_rmse_persistence": rmse(t.obs, t.next_obs, statistics.obs),
    "reward_r2": r_squared(t.reward, p.reward),
    "legal_accuracy": jnp.mean(p.legal == t.next_legal),
    "termination_recall": (ended & said_ended).sum() / ended.sum(),  # NaN: none ended
    "termination_false_alarms": (~ended & said_ended).sum()
    / jnp.maximum((~ended).sum(), 1),
    **model.diagnose(params, t),
  }


def _open_loop(
  model: WorldModel,
  params: Params,
  rows: Rows,
  statistics: Statistics,
  index: jax.Array,
  steps: int,
) -> Metrics:
  first = transitions(rows, index)
  last = transitions(rows, index + steps - 1)
  k_start, k_steps = jax.random.split(jax.random.key(0))

  def step(latent: Any, offset: jax.Array):
    action = rows.action[index + offset]
    latent, p = model.step(params, latent, action, jax.random.fold_in(k_steps, offset))
    return latent, (p.state, p.obs)

  latent = model.start(params, first, k_start)
  _, (states, all_obs) = jax.lax.scan(step, latent, jnp.arange(steps))
  return {
    "state_rmse": rmse(states[-1], last.next_state, statistics.state),
    "state_rmse_persistence": rmse(first.state, last.next_state, statistics.state),
    "obs_rmse": rmse(all_obs[-1], last.next_obs, statistics.obs),
  }


def _thin(index: np.ndarray) -> np.ndarray:
  """At most `_MAX_ROWS` of the rows, evenly spaced."""
  keep = np.linspace(0, len(index) - 1, min(len(index), _MAX_ROWS))
  return index[keep.astype(np.int64)]


def _floats(metrics: Metrics) -> dict[str, float]:
  return {k: float(np.mean(v)) for k, v in jax.device_get(metrics).items()}
