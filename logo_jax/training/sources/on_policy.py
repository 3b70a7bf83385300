"""Rollouts of the present policies in the model, imagined anew for every update."""

import jax
import jax.numpy as jnp

from logo_jax.configs.config import ExperimentConfig
from logo_jax.data.dataset import transitions
from logo_jax.imagination import believed
from logo_jax.imagination.rollout import at_start
from logo_jax.imagination.rollouts import imagine_rollouts
from logo_jax.training import segments
from logo_jax.training.compose import System
from logo_jax.training.shards import relative_mass
from logo_jax.training.sources import Acting, Source, UpdateKeys, keep_nothing
from logo_jax.types import Dataset, Metrics, Rollouts, Rows


def make(system: System, config: ExperimentConfig, axis_name: str | None) -> Source:
  """Builds the source.

  Args:
    system: its components.
    config: horizon and number of rollouts.
    axis_name: mapped axis over the devices that share a batch, if any.
  """
  imagination = system.imagination
  assert imagination is not None
  beliefs, window = system.beliefs, imagination.model.window
  if beliefs is not None:
    model = believed.in_beliefs(imagination.model)
    imagination = imagination._replace(model=model)
  num_starts = config.num_starts // config.data_parallel
  budget = config.horizon, system.max_steps

  def plan(data: Dataset, keys: UpdateKeys) -> jax.Array:
    return segments.draw_starts(data.starts, num_starts, window, keys.real)

  def draw(
    ready: tuple[()], acting: Acting, rows: Rows, index: jax.Array, keys: UpdateKeys
  ) -> tuple[Rollouts, Metrics]:
    del ready
    starts, key = transitions(rows, index), keys.imagined
    if beliefs is not None:
      key, k_told = jax.random.split(key)
      starts = at_start(believed.told(beliefs, acting.model, starts, k_told))
    actor = system.learner.explorer or system.learner.actor
    r = imagine_rollouts(imagination, actor, acting, starts, budget, key)
    metrics = _metrics(r)
    total = r.weight.sum()
    mass = relative_mass(jnp.log(jnp.maximum(total, 1e-9)), axis_name)
    share = r.weight.size / jnp.maximum(total, 1e-9)
    return r._replace(weight=r.weight * share * mass), metrics

  return keep_nothing(plan, draw)


def _metrics(r: Rollouts) -> Metrics:
  """What tells rollouts that exploit their model."""
  valid = r.weight > 0
  num = jnp.maximum(valid.sum(), 1)
  ended = valid & (r.transition.discount <= 0.5)
  first = jnp.where(valid[:, 0], r.uncertainty[:, 0], 0.0).mean()
  last = jnp.where(valid[:, -1], r.uncertainty[:, -1], 0.0).sum()
  return {
    "imagination/return": jnp.where(valid, r.transition.reward, 0.0).sum(1).mean(),
    "imagination/length": valid.sum(1).mean(dtype=jnp.float32),
    "imagination/share_ended": ended.any(1).mean(dtype=jnp.float32),
    "imagination/uncertainty": jnp.where(valid, r.uncertainty, 0.0).sum() / num,
    "imagination/uncertainty_first": first,
    "imagination/uncertainty_last": last / jnp.maximum(valid[:, -1].sum(), 1),
    "imagination/effective_sample_size": r.weight.sum() ** 2
    / jnp.maximum(num * (r.weight**2).sum(), 1e-9),
  }
