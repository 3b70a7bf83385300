"""A study of world models: fitted side by side, measured on held-out episodes."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
import numpy as np

from logo_jax.configs import config as config_lib
from logo_jax.configs import entries as entries_lib
from logo_jax.configs import presets, registry
from logo_jax.configs.config import ExperimentConfig
from logo_jax.configs.registry import Component
from logo_jax.data import dataset, source
from logo_jax.data.dataset import LoadedDataset
from logo_jax.evaluation import model_error, open_loop, single_step, trust
from logo_jax.imagination.acted import Imagination
from logo_jax.io.logging import Stop, graceful_stop, say
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.training import compose, fit_loop, parallel
from logo_jax.training.session import Seconds, Session
from logo_jax.types import Params, Statistics, Uncertainty


class Fitted(NamedTuple):
  """A world model after phase 1."""

  imagination: Imagination
  params: Params  # on the host, with a leading axis of seeds
  seconds: float  # of the fit of all seeds side by side


def models(
  entries: Sequence[str], base: Callable[[str], ExperimentConfig] = presets.get
) -> dict[str, ExperimentConfig]:
  """Reads which models are meant.

  Args:
    entries: presets, with other fields of the model and a label where wanted:
      `logo`, `logo:hidden_size=128:share_local=true`, `small@logo:hidden_size=128`.
      Fields are the model's; those of the fit are named with a dot,
      `single@logo_entity:fit.unroll_updates=0`.
    base: name to the configuration whose fields an entry changes.

  Returns:
    Label to configuration; the label is the entry itself if none is given.

  Raises:
    ValueError: an entry says something that is not allowed, or is there twice.
  """

  def make(name: str, fields: dict[str, Any]) -> ExperimentConfig:
    config = base(name)
    if config.model is None:
      raise ValueError(f"preset {name!r} has no world model")
    paths = {k if "." in k else f"model.{k}": v for k, v in fields.items()}
    return entries_lib.changed(config, paths)

  entries_lib.check_some("models", entries)
  return entries_lib.read("models", entries, make)


def uncertainties(entries: Sequence[str]) -> dict[str, Component]:
  """Like `models`, of uncertainties, for example `std@disagreement:kind=std`."""

  def make(name: str, fields: dict[str, Any]) -> Component:
    values = config_lib.to_dict(presets.get("logo_macql"))
    made = config_lib.from_dict(values | {"uncertainty": {"name": name} | fields})
    assert made.uncertainty is not None
    return made.uncertainty

  return entries_lib.read("uncertainties", entries, make)


def of_budget(name: str, updates: int, batch_size: int = 0) -> ExperimentConfig:
  """A preset with a fit of another length.

  The share of its steps on windows stays as it is, to whole intervals; fields that
  are changed afterwards do not move it.

  Args:
    name: the preset's.
    updates: steps; 0 leaves them.
    batch_size: transitions; 0 leaves them.

  Raises:
    ValueError: no such preset.
  """
  config = presets.get(name)
  fit = config.fit
  updates = updates or fit.updates
  interval = min(fit.interval, updates)
  unrolled = round(fit.unroll_updates / fit.updates * updates / interval) * interval
  fit = dataclasses.replace(
    fit,
    updates=updates,
    batch_size=batch_size or fit.batch_size,
    interval=interval,
    unroll_updates=unrolled,
  )
  return dataclasses.replace(config, fit=fit)


def scores(
  chosen: Mapping[str, Component], config: ExperimentConfig, statistics: Statistics
) -> dict[str, Uncertainty]:
  """What scores a model: those chosen, and the system's own if it is none of them.

  Args:
    chosen: by label.
    config: the system; its own uncertainty is labelled "own".
    statistics: of the dataset.

  Raises:
    ValueError: a number is out of range, or another one has the label "own".
  """
  wanted, own = dict(chosen), config.uncertainty
  if own and own.name != "none" and own not in wanted.values():
    if "own" in wanted:
      raise ValueError("uncertainties: the label 'own' is that of the presets' own")
    wanted["own"] = own
  return {k: registry.make("uncertainty", c, statistics) for k, c in wanted.items()}


def fit(
  config: ExperimentConfig, loaded: LoadedDataset, run_dir: str | os.PathLike[str]
) -> Fitted | None:
  """Fits the world models of all seeds; resumes or reuses what the folder holds.

  Args:
    config: a model-based system; its learner is not trained.
    loaded: the dataset.
    run_dir: the folder of this model; other runs can take the model over from there.

  Returns:
    The models, or None if the process was asked to stop; then the state is saved and
    the same call goes on from there.

  Raises:
    ValueError: the configuration, the data or the stored run do not fit.
    FileExistsError: another process works on the folder.
    training.session.Diverged: a loss is not finite.
  """
  compose.check_batch_sizes(config, loaded.num_transitions)
  composed = _composed(config, loaded)  # before the folder is touched
  stored = config_lib.to_dict(config) | {"dataset_hash": loaded.card["content_hash"]}
  opened = RunFolder.open(run_dir, stored, config.loggers)
  with opened as folder, graceful_stop() as stop:
    session = _session(config, loaded, composed, folder, stop)
    params = fit_loop.fit_model(session)
    if params is None:
      say(f"stopped; the same command resumes {folder.path}")
      return None
  return _fitted(session, params)


def fitted(
  config: ExperimentConfig, loaded: LoadedDataset, run_dir: str | os.PathLike[str]
) -> Fitted:
  """What `fit` has left in a folder, which is only read; others may do so meanwhile.

  Args:
    config: as the folder has it.
    loaded: the dataset.
    run_dir: the folder of a finished fit.

  Raises:
    ValueError: the folder holds no fit, or one of another configuration.
  """
  composed, folder = _composed(config, loaded), RunFolder(run_dir)
  session = _session(config, loaded, composed, folder, Stop())
  return _fitted(session, fit_loop.fitted(session))


def _composed(
  config: ExperimentConfig, loaded: LoadedDataset
) -> tuple[compose.System, Mesh]:
  mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  axis = parallel.batch_axis(mesh)
  return compose.compose(config, loaded.spec, loaded.statistics, axis), mesh


def _session(
  config: ExperimentConfig,
  loaded: LoadedDataset,
  composed: tuple[compose.System, Mesh],
  folder: RunFolder,
  stop: Stop,
) -> Session:
  system, mesh = composed
  rows = run_outputs.read_metrics(folder.path) if folder.metrics_path.exists() else []
  spent = rows[-1].get("seconds/fit_model", 0.0) if rows else 0.0
  seconds = Seconds({"fit_model": spent})
  data = parallel.place(loaded.data, mesh)
  return Session(config, system, mesh, data, folder, stop, seconds)


def _fitted(session: Session, params: Params) -> Fitted:
  imagination = session.system.imagination
  assert imagination is not None
  seconds = session.seconds.by_phase["fit_model"]
  return Fitted(imagination, jax.device_get(params), seconds)


def held_out(
  loaded: LoadedDataset, name: str, data_dir: str | os.PathLike[str]
) -> LoadedDataset:
  """The data on which models are measured.

  Args:
    loaded: the dataset that they are fitted to.
    name: of another dataset, or its path, all of which is to be held out; "" is the
      same one, of which a split is.
    data_dir: where datasets lie that have names.

  Raises:
    FileNotFoundError: there is no such dataset; none is made.
    ValueError: it is not of the same game, is the same one, or its files are damaged.
  """
  if not name:
    return loaded
  return dataset.held_out_from(loaded, dataset.load(source.read(name, data_dir)))


def results_folder(
  run_dir: str | os.PathLike[str],
  loaded: LoadedDataset,
  measured: LoadedDataset,
  split: str,
) -> pathlib.Path:
  """Where figures go: what was measured on other data is not overwritten.

  Args:
    run_dir: where the fits are.
    loaded: the dataset that they are fitted to.
    measured: what `held_out` gives.
    split: of `measured`: "test" or "select".

  Returns:
    `run_dir` itself for the test split of the fits' own dataset, else a folder in it:
    `on/select`, or `on/<name>-<content hash>` of the other dataset, in short.
  """
  folder = pathlib.Path(run_dir)
  if measured is loaded:
    return folder if split == "test" else folder / "on" / split
  name = str(measured.card.get("name", "data")).replace("/", "-")
  return folder / "on" / f"{name}-{measured.card['content_hash'][:8]}"


def measure(
  fitted: Fitted,
  loaded: LoadedDataset,
  measured: LoadedDataset,
  split: str,
  uncertainties: Mapping[str, Uncertainty],
) -> dict[str, Any]:
  """All that is measured of a fitted world model.

  Args:
    fitted: the model.
    loaded: the dataset that it was fitted to, on which uncertainties are calibrated.
    measured: what `held_out` gives.
    split: of `measured`, where to look: "test" or "select".
    uncertainties: by name; those that the model has too few views for, or no states,
      are left out, and all of them if it has a memory.

  Returns:
    Figures of each seed, [S], in nested dicts: those of `model_error.summarise`,
    `diagnose` (the model's own), `spearman`, `auroc`, `parameters`, and `seconds` of
    the fit of all seeds together, [1]; and `persistence`, floats.
  """
  model, params = fitted.imagination.model, fitted.params
  horizons = model_error.HORIZONS
  scorers = {
    name: trust.make_scorer(uncertainty, model, params, loaded)
    for name, uncertainty in uncertainties.items()
    if uncertainty.min_views <= model.num_views
    and model.window == 1
    and (model.predicts_state or not uncertainty.reads_state)
  }
  windows = open_loop.take_windows(measured, split)
  every = open_loop.take_windows(measured, split, measured.num_transitions)
  say(f"measuring {len(every.start)} steps, and {len(windows.start)} rollouts")
  rolled = open_loop.roll_out(model, params, measured, windows, horizons, scorers)
  single = single_step.predict(model, params, measured, every)
  leaves = jax.tree.leaves(params)
  size = sum(leaf[0].size for leaf in leaves)
  return model_error.summarise(rolled, single, horizons) | {
    "diagnose": model_error.diagnose(model, params, measured, windows),
    "spearman": trust.rank_correlations(rolled, horizons),
    "auroc": trust.separations(model, params, measured, windows, scorers),
    "parameters": np.full(len(leaves[0]), size),
    "seconds": np.array([fitted.seconds]),
    "persistence": model_error.persistence(rolled, horizons),
  }
