"""Battles that are easy at first: enemies become stronger as they are beaten."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from logo_jax import types
from logo_jax.behaviours import ppo
from logo_jax.envs import base

# Of battles won in training: above the first, enemies become stronger, below the second
# weaker, by this share of their health an update.
_WELL, _BADLY, _STEP = 0.5, 0.25, 0.002


def weaken(
  spec: types.EnvSpec, config: ppo.Config
) -> Callable[..., tuple[Any, types.TimeStep]] | None:
  """How enemies are made weaker at the start of a battle; None: they are not.

  Args:
    spec: of the environment.
    config: says with what share of their health enemies begin at first.

  Returns:
    See `base.weaken`.

  Raises:
    ValueError: the environment has no enemies.
  """
  if config.enemy_health == 1:
    return None
  weaker = base.weaken(spec.name)
  if weaker is None:
    raise ValueError(
      f"enemy_health {config.enemy_health} must be 1: {spec.name} has no enemies"
    )
  return weaker


def next_health(health: jax.Array, metrics: types.Metrics, least: float) -> jax.Array:
  """Stronger enemies after an update that won most battles, weaker ones after few.

  Args:
    health: the share with which they began.
    metrics: sums over the episodes of the update, `behaviour/win_rate` and
      `behaviour/episodes`.
    least: of the share, the most being 1.
  """
  episodes = metrics["behaviour/episodes"]
  rate = metrics["behaviour/win_rate"] / jnp.maximum(episodes, 1)
  change = jnp.where(rate > _WELL, _STEP, jnp.where(rate < _BADLY, -_STEP / 2, 0.0))
  return jnp.clip(health + jnp.where(episodes > 0, change, 0.0), least, 1.0)
