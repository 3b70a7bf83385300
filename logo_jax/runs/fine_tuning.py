"""Runs that begin with the learner of another run, `config.init_from`.

Parameters and target networks are taken over. Weights mean something together with what
inputs were standardised by, and values with the scale of rewards: both are the other
run's, whatever the data. Bounds of values are what the data of either run allow.
"""

import dataclasses
import os
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh

from logo_jax.configs.config import ExperimentConfig
from logo_jax.configs.registry import Component
from logo_jax.data import carried
from logo_jax.data.dataset import LoadedDataset
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.training import begin
from logo_jax.training.compose import System
from logo_jax.types import Statistics


def resolved(
  config: ExperimentConfig, run_dir: str | os.PathLike[str]
) -> ExperimentConfig:
  """The configuration with the other run's scale of rewards, where it has one.

  Args:
    config: of the run that begins.
    run_dir: its folder; what has begun already does not need the other run.

  Raises:
    ValueError: no such run, or one of another learner or other seeds.
  """
  if not config.init_from:
    return config
  if _same(config.init_from, run_dir):
    raise ValueError(f"init_from: {config.init_from} is this run's own folder")
  stored = run_outputs.read_config(run_dir if _has_begun(run_dir) else config.init_from)
  theirs = stored.get("learner") or {}
  for name, there, here in (
    ("learner.name", theirs.get("name"), config.learner.name),
    ("num_seeds", stored.get("num_seeds"), config.num_seeds),
  ):
    if there != here:
      raise ValueError(
        f"init_from: {config.init_from} has {name} {there!r}, this run {here!r}; it "
        "must be the same, for its learner goes on, seed by seed"
      )
  clones: int = getattr(config.learner.config, "clone_updates", 0)
  if clones:
    raise ValueError(
      f"learner.clone_updates: must be 0 with init_from, for cloning would overwrite "
      f"the policy that the run begins with; got {clones}"
    )
  return _with_scale(config, theirs)


def _with_scale(config: ExperimentConfig, theirs: dict[str, Any]) -> ExperimentConfig:
  scale = theirs.get("reward_scale")
  if scale is None:
    return config
  learner: Any = config.learner.config
  if learner.reward_scale not in (None, scale):
    raise ValueError(
      f"learner.reward_scale: must be {scale} with init_from={config.init_from!r}, in "
      f"whose unit values are; got {learner.reward_scale}"
    )
  learner = dataclasses.replace(learner, reward_scale=scale)
  return dataclasses.replace(config, learner=Component(config.learner.name, learner))


def statistics(
  config: ExperimentConfig, loaded: LoadedDataset, run_dir: str | os.PathLike[str]
) -> Statistics | None:
  """What the learner is built with; None where that is the data's own.

  Args:
    config: of the run that begins.
    loaded: its dataset.
    run_dir: its folder; what has begun already does not need the other run.

  Raises:
    ValueError: the other run has kept nothing of its dataset, or that is of a game of
      other sizes.
  """
  if not config.init_from:
    return None
  if _has_begun(run_dir):
    return _kept(run_dir).learner_statistics
  other = _kept(config.init_from)
  for name in ("num_agents", "obs_dim", "state_dim", "action_kind", "action_dim"):
    there, here = getattr(other.spec, name), getattr(loaded.spec, name)
    if there != here:
      raise ValueError(
        f"init_from: {config.init_from} was trained on a game with {name} {there!r}, "
        f"but {config.dataset} has {here!r}"
      )
  theirs, own = other.learner_statistics, loaded.statistics
  reward = own.reward._replace(
    low=jnp.minimum(theirs.reward.low, own.reward.low),
    high=jnp.maximum(theirs.reward.high, own.reward.high),
  )
  return Statistics(
    obs=theirs.obs,
    state=theirs.state,
    reward=reward,
    return_range=_both(theirs.return_range, own.return_range),
    cut_rewards=_both(theirs.cut_rewards, own.cut_rewards),
  )


def check_weights(
  config: ExperimentConfig,
  system: System,
  mesh: Mesh,
  run_dir: str | os.PathLike[str],
) -> None:
  """Refuses another run whose weights are of other shapes.

  Raises:
    ValueError: they are, or there is no checkpoint; names the first that differs.
  """
  if config.init_from and not _has_begun(run_dir):
    begin.weights(config.init_from, config, system.learner, mesh)


def _has_begun(run_dir: str | os.PathLike[str]) -> bool:
  folder = RunFolder(run_dir)
  return folder.config_path.exists() and folder.dataset_path.exists()


def _kept(run_dir: str | os.PathLike[str]) -> carried.Carried:
  where = str(RunFolder(run_dir).dataset_path)
  return carried.read(run_outputs.read_dataset(run_dir), where)


def _same(one: str, other: str | os.PathLike[str]) -> bool:
  return RunFolder(one).path.resolve() == RunFolder(other).path.resolve()


def _both(x: tuple[float, float], y: tuple[float, float]) -> tuple[float, float]:
  return min(x[0], y[0]), max(x[1], y[1])
