"""Sizes that no memory can hold, told before anything is made."""

from collections.abc import Callable
import dataclasses
import os
from typing import Any

import jax
import numpy as np

from logo_jax.configs.config import ExperimentConfig
from logo_jax.types import EnvSpec, Learner

_SMALL = 4_096  # widths times seeds up to which nobody has to count


def check(
  config: ExperimentConfig, spec: EnvSpec, learner: Learner, imagination: Any
) -> None:
  """Refuses networks, rings and episodes that are larger than the memory there is.

  What passes may still be too large, with all that computing takes beside.

  Args:
    config: of the experiment.
    spec: of the environment.
    learner: as composed.
    imagination: as composed, or None.

  Raises:
    ValueError: names the field that is too large, the size and the memory.
  """
  seeds = -(-config.num_seeds // jax.device_count())  # on the fullest device
  n, actions = spec.num_agents, spec.num_agents * spec.action_dim
  row = 4 * (n * spec.obs_dim + spec.state_dim + actions)
  _refuse("evaluation.episodes", config.evaluation.episodes, config, seeds * row)
  if _largest(config.learner.config) * config.num_seeds > _SMALL:
    _refuse_networks("learner", config, learner.init, seeds)
  if imagination is None or config.model is None:
    return
  ring = config.num_starts * config.horizon * config.replay_collections
  _refuse("num_starts", ring, config, 2 * seeds * row)
  if _largest(config.model.config) * config.num_seeds > _SMALL:
    # With the best so far and Adam's moments.
    _refuse_networks("model", config, imagination.model.init, 4 * seeds)


def _largest(component: Any) -> int:
  """The largest whole number among the fields of a component's configuration."""
  values = dataclasses.asdict(component).values()
  return max((v for v in values if type(v) is int), default=0)


def _refuse_networks(
  kind: str, config: ExperimentConfig, init: Callable[..., Any], copies: int
) -> None:
  fields = getattr(config, kind).config
  name = f"{kind}.hidden_size" if hasattr(fields, "hidden_size") else kind
  try:
    shapes = jax.eval_shape(lambda: init(jax.random.key(0)))
    size = sum(int(np.prod(x.shape, dtype=object)) for x in jax.tree.leaves(shapes))
  except (OverflowError, MemoryError, TypeError, ValueError):  # no such shape at all
    size = 2**62
  _refuse(name, size, config, 4 * copies)


def _refuse(name: str, count: int, config: ExperimentConfig, size: int) -> None:
  """Refuses `count` things of `size` bytes each, all seeds of a device together."""
  limit = _memory()
  if count * size <= limit:
    return
  value: Any = config
  for part in name.split("."):
    value = getattr(getattr(value, "config", value), part)
  raise ValueError(
    f"{name}: {value} needs {count * size / 1e9:.3g} GB with num_seeds "
    f"{config.num_seeds}, but a device has {limit / 1e9:.3g} GB"
  )


def _memory() -> int:
  """Bytes of the default device; where it does not tell, those of the host."""
  stats = jax.local_devices()[0].memory_stats() or {}
  host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  return stats.get("bytes_limit", host)
