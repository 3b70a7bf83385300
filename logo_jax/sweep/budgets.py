"""How much work a system gets."""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

from logo_jax.checks import ranges, schema
from logo_jax.configs import config as config_lib
from logo_jax.configs import entries, presets
from logo_jax.configs.config import ExperimentConfig
from logo_jax.envs import base
from logo_jax.runs import model_study
from logo_jax.types import HostEnvironment


@dataclasses.dataclass(frozen=True)
class Budget:
  """The same for all systems of a table."""

  updates: int = 6_000  # of learners on batches
  rollout_updates: int = 240  # of learners on whole rollouts, each on 512 of them
  fit_updates: int = 0  # of world models; 0: their presets'
  num_seeds: int = 3  # trained side by side
  episodes: int = 512  # of the figures; of each seed
  curve_episodes: int = 128  # of a learning curve's point
  host_episodes: int = 64  # the same where environments step on the host
  host_curve_episodes: int = 16
  repeats: int = 20  # timed calls of each model, where imagined steps are timed


BUDGETS = {
  # Does everything once, within minutes; its figures say nothing.
  "quick": Budget(500, 20, 500, 1, 32, 8, 4, 2, 3),
  # A few hours a dataset on two cores, for all systems of Table 2.
  "standard": Budget(fit_updates=6_000),
  # As many transitions as the paper's 1e7, in batches of 128; see Table 8.
  "paper": Budget(updates=78_000, num_seeds=5),
}


def of_values(name: str, values: Mapping[str, Any], where: str = "") -> Budget:
  """A named budget with other fields.

  Args:
    name: of `BUDGETS`.
    values: field to value.
    where: what to call them in errors.

  Raises:
    ValueError: no such budget or field, or a number that is out of range.
  """
  if name not in BUDGETS:
    raise ValueError(f"budget: must be one of {', '.join(BUDGETS)}; got {name!r}")
  known = dataclasses.asdict(BUDGETS[name])
  budget = schema.build(Budget, known | dict(values), where)
  counts = dict.fromkeys(known, "[1") | {"fit_updates": "[0"}
  ranges.check(where, budget, **counts)
  return budget


def systems(
  flag: str, names: list[str], budget: Budget, changed_by: str = ""
) -> dict[str, ExperimentConfig]:
  """Systems of a list of entries, with a budget; see `entries.systems`.

  Args:
    flag: what the list is called in errors.
    names: the entries. One of a learner on rollouts may set `total_updates`.
    budget: of all.
    changed_by: other fields of all, as of an entry: `horizon=15:num_starts=64`.

  Returns:
    Label to configuration; data and seeds are the presets' still.

  Raises:
    ValueError: an entry says something that is not allowed, or is there twice.
  """
  if changed_by:
    names = [f"{_labelled(name)}:{changed_by}" for name in names]
  made = entries.systems(names, functools.partial(_base, budget), flag)
  entries.check_decided(flag, made)
  return made


def _labelled(entry: str) -> str:
  """The entry with its label said, which what is added does not change."""
  return entry if "@" in entry else f"{entry}@{entry}"


def _base(budget: Budget, name: str) -> ExperimentConfig:
  values = model_study.of_budget(name, budget.fit_updates)
  if not presets.learns_on_rollouts(values):
    return values
  total = budget.rollout_updates
  interval = _interval(total, values.collect_interval)
  return dataclasses.replace(
    values,
    total_updates=total,
    evaluation=dataclasses.replace(values.evaluation, interval=interval),
  )


def spent(
  values: ExperimentConfig, budget: Budget, dataset: str, seed: int
) -> ExperimentConfig:
  """A system of `systems` on a dataset, with all that the budget says.

  Args:
    values: the system.
    budget: the one that it was made with.
    dataset: name or path.
    seed: of the first run.
  """
  own = presets.learns_on_rollouts(values)
  total = values.total_updates if own else budget.updates
  interval = _interval(total, values.collect_interval)
  host = on_host(dataset)
  return dataclasses.replace(
    values,
    dataset=dataset,
    seed=seed,
    num_seeds=budget.num_seeds,
    total_updates=total,
    evaluation=dataclasses.replace(
      values.evaluation,
      interval=interval,
      episodes=budget.host_curve_episodes if host else budget.curve_episodes,
      final_episodes=budget.host_episodes if host else budget.episodes,
    ),
    checkpoint=config_lib.CheckpointConfig(interval=interval, keep=1),
  )


def _interval(total: int, step: int) -> int:
  """A quarter of the updates, in whole steps between visits of the host."""
  return max(1, total // 4 // step) * step


def on_host(dataset: str) -> bool:
  """Whether policies learned from a dataset are played on the host, which is slow."""
  name = dataset.rpartition("/")[0]
  try:
    return isinstance(base.make(name), HostEnvironment)
  except (ValueError, ImportError):  # a path, or nothing plays it here
    return False
