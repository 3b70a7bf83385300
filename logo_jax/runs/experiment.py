"""One experiment from a configuration to its results."""

import dataclasses
import os
import pathlib
import time
from typing import Any

from jax.sharding import Mesh

from logo_jax.configs import config as config_lib
from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import carried, collect, dataset, remarks, source
from logo_jax.data.dataset import LoadedDataset
from logo_jax.envs import base
from logo_jax.evaluation.model_error import model_errors
from logo_jax.io import files, loggers
from logo_jax.io.logging import say
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import results as result_rows
from logo_jax.reporting import run_outputs
from logo_jax.runs import fine_tuning, outcomes
from logo_jax.training import (
  compose,
  fit_loop,
  hosts,
  loop,
  matching,
  memory,
  parallel,
  plans,
)
from logo_jax.training.session import Evaluator, Seconds, Session
from logo_jax.types import Statistics


def run(config: ExperimentConfig, run_dir: str | os.PathLike[str]) -> dict | None:
  """Trains and evaluates; resumes what the folder holds.

  Everything that can be refused is refused before the folder is touched. A finished run
  is not trained again.

  Args:
    config: what to do.
    run_dir: the run's folder; see `run_folder.RunFolder`.

  Returns:
    What results.json holds, or None if the process was asked to stop before the end;
    then the state is saved and the same call goes on from there.

  Raises:
    ValueError: a field of the configuration, the data or the stored run do not fit.
    FileExistsError: another process works on the folder.
    OSError: the folder cannot be written.
    training.session.Diverged: a loss is not finite.
  """
  with hosts.agreed():
    config = resolved(config)
    check(config, run_dir)
    config = fine_tuning.resolved(config, run_dir)
    mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  start = time.monotonic()
  loaded = hosts.in_turn(lambda: load_dataset(config))
  with hosts.agreed():
    begun = fine_tuning.statistics(config, loaded, run_dir)
    config, system = _compose(config, loaded, mesh, begun)
    stored_config = config_lib.to_dict(config) | {
      "dataset_hash": loaded.card["content_hash"]
    }
    _check_model_run(config.model_run, stored_config, run_dir)
    fine_tuning.check_weights(config, system, mesh, run_dir)
    known = carried_by(run_dir)
    if known is not None:
      carried.check_same(known, loaded.card, str(run_dir))
  hosts.check_same("configuration", stored_config)
  opened = hosts.open_folder(run_dir, stored_config, config.loggers)
  with opened as folder, hosts.graceful_stop() as stop:
    if hosts.is_first() and not folder.dataset_path.exists():
      files.write_json(folder.dataset_path, carried.of(loaded, begun))
    results = _stored_results(folder)
    if results is not None:
      say(f"{folder.path} is finished; nothing is trained again")
      return results
    seconds = Seconds(_seconds_so_far(folder))
    seconds.add("load", time.monotonic() - start)
    data = parallel.place(loaded.data, mesh)
    session = Session(config, system, mesh, data, folder, stop, seconds)
    results = _work(session, loaded)
    if results is None:
      say(f"stopped; the same command resumes {folder.path}")
      return None
    return hosts.of_first(lambda: _finish(folder, results))


def _compose(
  config: ExperimentConfig,
  loaded: LoadedDataset,
  mesh: Mesh,
  begun: Statistics | None,
) -> tuple[ExperimentConfig, compose.System]:
  """The system for the data, and the configuration that it has resolved.

  Args:
    config: what to do.
    loaded: the dataset.
    mesh: of seeds and batches.
    begun: what the learner is built with, where that is not the data's own.
  """
  compose.check_batch_sizes(config, loaded.num_transitions)
  axis = parallel.batch_axis(mesh)
  system = compose.compose(config, loaded.spec, loaded.statistics, axis, begun)
  matching.check_window(config, compose.batch_shares(config), system)
  memory.check(config, loaded.spec, system.learner, system.imagination)
  return compose.resolved(config, system), system


def _finish(folder: RunFolder, results: dict[str, Any]) -> dict[str, Any]:
  outcomes.draw(folder, results)
  folder.write_results(results)
  return run_outputs.read_results(folder.path)


def check(config: ExperimentConfig, run_dir: str | os.PathLike[str]) -> None:
  """Refuses what can be refused before there are data, which may take long to make.

  Raises:
    ValueError: a field of the configuration or the stored run do not fit.
    FileExistsError: another process works on the folder.
    OSError: the folder cannot be written.
    ImportError: a logger is not installed.
  """
  loggers.check(config.loggers)
  config = fine_tuning.resolved(resolved(config), run_dir)
  compose.check_budget(config)
  spec = source.spec(config.dataset)
  if spec is not None:
    compose.check_components(config, spec)
    compose.check_batch_sizes(config, config.num_transitions)
  _check_model_run(config.model_run, config_lib.to_dict(config), run_dir)
  if hosts.is_first():
    RunFolder.check(run_dir, config_lib.to_dict(config))


def resolved(config: ExperimentConfig) -> ExperimentConfig:
  """The same with the full name of its dataset; see `source.resolve`.

  Raises:
    ValueError: the name and `num_transitions` say different sizes.
  """
  name, size = source.resolve(config.dataset, config.num_transitions, config.data_dir)
  return dataclasses.replace(config, dataset=name, num_transitions=size)


def load_dataset(config: ExperimentConfig, make: bool = True) -> LoadedDataset:
  """Reads the configured dataset, and makes it first if it is missing.

  Args:
    config: which dataset, and how large one to make.
    make: False, a missing dataset is an error.

  Raises:
    ValueError: unknown name, damaged files, or data of another scenario or quality.
    FileNotFoundError: missing, and not to be made.
  """
  config = resolved(config)
  if make and source.is_missing(config.dataset, config.data_dir):
    say(
      f"{config.dataset} is missing in {config.data_dir}: collecting "
      f"{config.num_transitions} transitions"
    )
    request = collect.Request(config.dataset, config.num_transitions)
    collect.collect(request, config.data_dir)
  stored = source.read(config.dataset, config.data_dir, config.data.reader_options())
  card = stored.card
  say(
    f"{config.dataset}: {card['num_transitions']} transitions, {card['num_episodes']} "
    f"episodes, mean return {card['return_mean']:.2f}"
  )
  loaded = dataset.load(stored, config.data.placement)
  for line in remarks.remarks(stored._replace(card=loaded.card)):
    say(f"{config.dataset}: {line}")
  return loaded


def carried_by(run_dir: str | os.PathLike[str]) -> carried.Carried | None:
  """What a run has kept of its dataset; None if it has nothing."""
  path = RunFolder(run_dir).dataset_path
  if not path.exists():
    return None
  return carried.read(run_outputs.read_dataset(run_dir), str(path))


def _stored_results(folder: RunFolder) -> dict[str, Any] | None:
  """What a finished run has come to; None if that is to be found (again)."""
  if not folder.finished():
    return None
  try:
    results = run_outputs.read_results(folder.path)
    result_rows.check(results, str(folder.results_path))
  except ValueError as error:
    if not _has_checkpoint(folder.path, "train"):
      raise
    say(f"{error}; it is made again from the last checkpoint")
    return None
  return results


# What a fitted world model depends on.
_FIT_FIELDS = ("model", "fit", "seed", "num_seeds", "data_parallel", "dataset_hash")


def _check_model_run(
  model_run: str, config: dict[str, Any], run_dir: str | os.PathLike[str]
) -> None:
  """Refuses to take over a world model that this run would not have fitted."""
  if not model_run or _has_checkpoint(run_dir, "model"):  # taken over already
    return
  if config["model"] is None:
    raise ValueError(f"model_run: {model_run!r} is of no use, for model is None")
  stored = run_outputs.read_config(model_run)
  for name in _FIT_FIELDS:
    if name in config and stored.get(name) != config[name]:
      raise ValueError(
        f"model_run: {model_run} has {name} {stored.get(name)}, this run {config[name]}"
      )
  if not _has_checkpoint(model_run, "model"):
    raise ValueError(f"model_run: {model_run} holds no fitted world model yet")


def _has_checkpoint(run_dir: str | os.PathLike[str], phase: str) -> bool:
  folder = pathlib.Path(run_dir) / "checkpoints" / phase
  return folder.exists() and any(path.name.isdigit() for path in folder.iterdir())


def _work(session: Session, loaded: LoadedDataset) -> dict[str, Any] | None:
  config, imagination = session.config, session.system.imagination
  (env, why), evaluator = source.environment(loaded.card, loaded.spec), None
  if env is None:
    say(f"policies are not evaluated: {why}")
  else:
    actor = plans.actor_of(config, session.system)
    evaluator = Evaluator(env, actor, session.mesh, config)
  model_params = ()
  if imagination is not None:
    model_params = fit_loop.fit_model(session)
    if model_params is None:
      return None
  state = loop.train(session, evaluator, model_params)
  if state is None:
    return None
  # The first process's are kept; others may be reading while it writes.
  results = outcomes.describe(session, loaded) if hosts.is_first() else {}
  if evaluator is not None:
    start = time.monotonic()
    params = plans.params_of(config, state)
    played = evaluator.final(params, config.evaluation.final_episodes)
    session.seconds.add("evaluate", time.monotonic() - start)
    results |= outcomes.summarise(played, base.has_wins(loaded.spec.name))
  if imagination is not None:
    start = time.monotonic()
    params = parallel.fetch(state.model)
    if hosts.is_first():
      results["model"] = model_errors(imagination.model, params, loaded)
    session.seconds.add("model_error", time.monotonic() - start)
  return results


def _seconds_so_far(folder: RunFolder) -> dict[str, float]:
  rows = run_outputs.read_metrics(folder.path) if folder.metrics_path.exists() else []
  last = rows[-1] if rows else {}
  prefix = "seconds/"
  return {k[len(prefix) :]: v for k, v in last.items() if k.startswith(prefix)}
