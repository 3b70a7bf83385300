"""Runs that have been trained: their policies played, their states read."""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from logo_jax.configs import config as config_lib
from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import source
from logo_jax.data.carried import Carried
from logo_jax.data.dataset import CALIBRATION_ROWS, LoadedDataset
from logo_jax.envs import base
from logo_jax.imagination.acted import Imagination
from logo_jax.io import plugins
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment, outcomes
from logo_jax.training import compose, loop, parallel, plans
from logo_jax.training.session import Evaluator
from logo_jax.training.step import TrainState
from logo_jax.types import EnvSpec, Observed, Params, Transition


def evaluate(
  run_dir: str | os.PathLike[str],
  episodes: int,
  best: bool = False,
  data_dir: str | os.PathLike[str] | None = None,
  greedy: bool = True,
  actor: str | None = None,
) -> dict[str, Any]:
  """Plays the last, or the best, checkpoint of a run on final episodes.

  The run itself has what that needs of its dataset (dataset.json); only runs of former
  versions, which have not, need the data.

  Args:
    run_dir: a run's folder, finished or not; it is only read.
    episodes: how many per seed.
    best: the checkpoint of the best learning-curve point instead of the last one.
    data_dir: where datasets lie that have names, for runs that need theirs; None is
      where the run found it.
    greedy: the likeliest actions, or else sampled ones.
    actor: "policy" or "planner", as `ExperimentConfig.actor`; None is the run's own.

  Returns:
    `step`, the figures of `outcomes.summarise`, and who has played.

  Raises:
    ValueError: no such run, no checkpoint, or the data are not those of the run.
  """
  stored, known = of_run(run_dir, data_dir)
  # One device will do, however many trained it.
  config = dataclasses.replace(stored, data_parallel=1)
  if actor is not None:
    config = config_lib.from_dict(config_lib.to_dict(config) | {"actor": actor})
  system = compose_of(config, known)
  mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  step, params = played(config, system, mesh, run_dir, known.spec, best)
  env, why = source.environment(known.card, known.spec)
  if env is None:
    with plugins.explained(run_dir):
      raise ValueError(f"dataset: {config.dataset} cannot be played: {why}")
  evaluator = Evaluator(env, plans.actor_of(config, system), mesh, config, greedy)
  result = evaluator.final(params, episodes)
  figures = outcomes.summarise(result, base.has_wins(known.spec.name))
  return {"step": step} | figures | plans.who(config, system)


def of_run(
  run_dir: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None
) -> tuple[ExperimentConfig, Carried]:
  """A run's configuration, and what it has kept of its dataset.

  Args:
    run_dir: a run's folder, finished or not; it is only read.
    data_dir: where datasets lie that have names; of use to runs of former versions
      alone, which kept nothing. None is where the run found it.

  Raises:
    ValueError: no such run, or the data are not those of the run.
  """
  config, data_hash = _stored_config(run_dir)
  if data_dir is not None:
    config = dataclasses.replace(config, data_dir=os.fspath(data_dir))
  known = experiment.carried_by(run_dir)
  if known is not None:
    return config, known
  loaded = experiment.load_dataset(config, make=False)
  if loaded.card["content_hash"] != data_hash:
    raise ValueError(
      f"dataset: {config.dataset} has content hash {loaded.card['content_hash']}, but "
      f"{run_dir} was trained on {data_hash}"
    )
  statistics = loaded.statistics
  return config, Carried(loaded.spec, loaded.card, statistics, statistics)


def compose_of(config: ExperimentConfig, known: Carried) -> compose.System:
  """The components of a run, as it was trained."""
  statistics, learner = known.statistics, known.learner_statistics
  return compose.compose(config, known.spec, statistics, learner_statistics=learner)


def played(  # noqa: PLR0913  a run and what it consists of
  config: ExperimentConfig,
  system: compose.System,
  mesh: Mesh,
  run_dir: str | os.PathLike[str],
  spec: EnvSpec,
  best: bool,
) -> tuple[int, Params]:
  """The update of a checkpoint, and of its parameters those of who plays alone."""
  shapes = loop.policy_params(config, system, mesh)
  with trained(run_dir) as checkpoints:
    last = best_step(checkpoints, run_dir) if best else None
    part = ("learner", "params")
    params, step = checkpoints.restore_sound(shapes, last, part)
    if plans.needs_model(config):
      shapes = _model_shapes(config, system, mesh, spec)
      params = (*_restored_model(checkpoints, shapes, step), params)
  return int(step or 0), params


def imagination_of(
  run_dir: str | os.PathLike[str], step: int, seed_index: int = 0
) -> tuple[Imagination, tuple[Params, Params]] | None:
  """The model-based half of a run, and what it has learned.

  Args:
    run_dir: a run's folder, finished or not; it is only read.
    step: the update whose checkpoint is read.
    seed_index: which of the run's seeds.

  Returns:
    The components, and one seed's parameters of the model and the uncertainty; None if
    the run has no world model.

  Raises:
    ValueError: no such run or checkpoint.
  """
  config, known = of_run(run_dir)
  config = dataclasses.replace(config, data_parallel=1)
  system = compose_of(config, known)
  if system.imagination is None:
    return None
  mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  shapes = _model_shapes(config, system, mesh, known.spec)
  with trained(run_dir) as checkpoints:
    model, uncertainty = _restored_model(checkpoints, shapes, step)
  one = jax.tree.map(lambda x: x[seed_index], (model, uncertainty))
  return system.imagination, one


def _restored_model(
  checkpoints: Checkpointer, shapes: tuple[Params, Params], step: int | None
) -> list[Params]:
  """The parameters of model and uncertainty, of which there may be none."""
  return [
    checkpoints.restore(x, step, (name,)) if jax.tree.leaves(x) else x
    for name, x in zip(("model", "uncertainty"), shapes, strict=True)
  ]


def _model_shapes(
  config: ExperimentConfig, system: compose.System, mesh: Mesh, spec: EnvSpec
) -> tuple[Params, Params]:
  """Of the model's and the uncertainty's parameters, as `loop.policy_params` has it."""
  assert system.imagination is not None
  model, scorer, *_ = system.imagination
  dtype = jnp.int32 if spec.action_kind == "discrete" else jnp.float32
  size = () if spec.action_kind == "discrete" else (spec.action_dim,)

  def rows(num: int) -> Transition:
    of_agents = (num, spec.num_agents)
    now = Observed(
      jnp.zeros((*of_agents, spec.obs_dim)),
      jnp.zeros((num, spec.state_dim)),
      jnp.ones((*of_agents, spec.action_dim), bool),
    )
    return now.standing(jnp.zeros((*of_agents, *size), dtype))

  def init(key: jax.Array) -> tuple[Params, Params]:
    k_model, k_scorer = jax.random.split(key)
    params = model.init(k_model)
    bank = rows(scorer.bank_size) if scorer.bank_size else ()
    held_out = rows(CALIBRATION_ROWS)
    return params, scorer.init(model, params, held_out, bank, k_scorer)

  keys = jax.random.split(jax.random.key(0), config.num_seeds)
  return parallel.by_seed(jax.eval_shape(jax.vmap(init), keys), mesh)


def trained(run_dir: str | os.PathLike[str]) -> Checkpointer:
  """The checkpoints of a run's training, of which there is one at least; to read.

  Raises:
    ValueError: there is none.
  """
  path = RunFolder(run_dir).checkpoints / "train"
  if not path.is_dir():
    raise ValueError(
      f"checkpoint folder: {path} does not exist; nothing is trained yet"
    )
  checkpoints = Checkpointer(path, read_only=True)
  if not checkpoints.steps():
    raise ValueError(f"checkpoint folder: {path} holds no checkpoint yet")
  return checkpoints


def best_step(checkpoints: Checkpointer, run_dir: str | os.PathLike[str]) -> int:
  """The step of the best point of a run's learning curve.

  Raises:
    ValueError: no checkpoint has a score.
  """
  step = checkpoints.best_step()
  if step is None:
    raise ValueError(f"best: no checkpoint of {run_dir} has a score; play the last one")
  return step


def restore(
  config: ExperimentConfig,
  run_dir: str | os.PathLike[str],
  loaded: LoadedDataset | None = None,
  best: bool = False,
) -> tuple[int, TrainState]:
  """The last, or the best, checkpoint of a run: its update and its whole state.

  Raises:
    ValueError: there is none, or it is of another configuration.
  """
  loaded = experiment.load_dataset(config) if loaded is None else loaded
  mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  axis = parallel.batch_axis(mesh)
  known = experiment.carried_by(run_dir)
  learner = known.learner_statistics if known else None
  system = compose.compose(config, loaded.spec, loaded.statistics, axis, learner)
  with trained(run_dir) as checkpoints:
    data = parallel.place(loaded.data, mesh)
    target = loop.train_state(config, system, mesh, data)
    last = best_step(checkpoints, run_dir) if best else None
    state, step = checkpoints.restore_sound(target, last)
  return int(step or 0), state


def _stored_config(run_dir: str | os.PathLike[str]) -> tuple[ExperimentConfig, str]:
  """What a run was started with, checked anew, and the hash of its data."""
  values = run_outputs.read_config(run_dir)
  data_hash = values.pop("dataset_hash", None)
  try:
    if not isinstance(data_hash, str):
      raise ValueError(f"dataset_hash: must be of type str; got {data_hash!r}")
    with plugins.explained(run_dir):
      config = config_lib.from_dict(values)
    compose.check_budget(config)
  except ValueError as error:
    raise ValueError(f"{pathlib.Path(run_dir) / 'config.json'}: {error}") from None
  return config, data_hash
