"""How accurate world models are on held-out episodes, and whether they know it.

Fits every model, `--num_seeds` of each side by side, and follows recorded actions in
it. An entry of `--models` is a preset, with fields of its model if they shall differ
and with a label if it shall have one: `logo`, `logo:hidden_size=128:share_local=True`,
`small@logo:hidden_size=128`. A fit is resumed where it stopped and reused once it is
finished; each has a folder of its own, good for `--config.model_run` too. What is
measured on another split or dataset goes to RUN_DIR/on/.

Example:
  logo-jax model_error --dataset=smax/2s3z/medium-replay \
    --models=logo_macql,logo_literal,direct,ensemble --floor=true --run_dir=runs/error
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from absl import flags

import logo_jax
from logo_jax.configs.config import ExperimentConfig
from logo_jax.data.dataset import LoadedDataset
from logo_jax.evaluation import floor, open_loop
from logo_jax.evaluation.model_error import HORIZONS
from logo_jax.io import files
from logo_jax.io.logging import say
from logo_jax.reporting import model_figure, model_results
from logo_jax.runs import experiment, model_study, outcomes
from logo_jax.runs.model_study import Fitted
from logo_jax.types import Uncertainty

_DATASET = flags.DEFINE_string("dataset", "smax/2s3z/medium-replay", "Name or path.")
_MODELS = flags.DEFINE_list(
  "models", "logo_macql,logo_literal,direct,ensemble".split(","), "Which world models."
)
_UNCERTAINTIES = flags.DEFINE_list(
  "uncertainties",
  "path_discrepancy,aleatoric@disagreement:kind=aleatoric,"
  "pairwise@disagreement:kind=pairwise,std@disagreement:kind=std",
  "What scores the models that have enough views for it, beside their presets' own.",
)
_SEEDS = flags.DEFINE_integer("num_seeds", 3, "Fits of each model.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first fit.")
_UPDATES = flags.DEFINE_integer("fit_updates", 0, "0: the preset's; entries win.", 0)
_BATCH = flags.DEFINE_integer("batch_size", 0, "Of a fit; 0: the preset's.", 0)
_SPLIT = flags.DEFINE_enum(
  "split", "test", ["select", "test"], "Choose designs on one, report on the other."
)
_HELD_OUT = flags.DEFINE_string(
  "held_out", "", "Measured on all of this dataset, name or path, instead of a split."
)
_FLOOR = flags.DEFINE_bool("floor", False, "Measure what chance alone does, too.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_TRANSITIONS = flags.DEFINE_integer("num_transitions", 100_000, "If data are made.", 1)
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/error", "Where results go.")

_DRAWN = (1, 10)  # horizons of the figure's states


def main(argv: list[str]) -> None:
  del argv
  folder = pathlib.Path(_RUN_DIR.value)
  models = model_study.models(_MODELS.value, _base)
  chosen = model_study.uncertainties(_UNCERTAINTIES.value)
  for label, config in models.items():
    experiment.check(config, folder / label)
  loaded = experiment.load_dataset(next(iter(models.values())))
  measured = model_study.held_out(loaded, _HELD_OUT.value, _DATA_DIR.value)
  out = model_study.results_folder(folder, loaded, measured, _SPLIT.value)
  scores = {
    label: model_study.scores(chosen, config, loaded.statistics)
    for label, config in models.items()
  }
  results, states = _about(loaded, measured) | {"models": {}}, {}
  for label, config in models.items():
    say(f"{label} on {config.dataset}")
    results["dataset"] = config.dataset  # with its size, if that is another one
    fitted = model_study.fit(config, loaded, folder / label)
    if fitted is None:
      return
    found, states[label] = _measure(fitted, loaded, measured, scores[label])
    results["persistence"] = found.pop("persistence")
    results["models"][label] = model_results.over_seeds(found)
    files.write_json(out / "results.json", results)
  _report(out, results, states)


def _base(preset: str) -> ExperimentConfig:
  """A preset with what flags say."""
  budget = model_study.of_budget(preset, _UPDATES.value, _BATCH.value)
  seeds = dataclasses.replace(budget, seed=_SEED.value, num_seeds=_SEEDS.value)
  data = {"dataset": _DATASET.value, "data_dir": _DATA_DIR.value}
  size = _TRANSITIONS.value
  return experiment.resolved(dataclasses.replace(seeds, **data, num_transitions=size))


def _about(loaded: LoadedDataset, measured: LoadedDataset) -> dict[str, Any]:
  """What is measured on what, and the floor."""
  found = {}
  if _FLOOR.value:
    found, why = floor.of_dataset(measured, HORIZONS)
    if why:
      say(f"the floor is not known: {why}")
  return {
    "dataset_hash": loaded.card["content_hash"],
    "split": _SPLIT.value,
    "held_out": _HELD_OUT.value,
    "seed": _SEED.value,
    "num_seeds": _SEEDS.value,
    "device": outcomes.device_name(),
    "version": logo_jax.__version__,
    "floor": found,
  }


def _measure(
  fitted: Fitted,
  loaded: LoadedDataset,
  measured: LoadedDataset,
  scores: Mapping[str, Uncertainty],
) -> tuple[dict[str, Any], model_figure.States]:
  """All figures, by seed, and the first seed's states."""
  found = model_study.measure(fitted, loaded, measured, _SPLIT.value, scores)
  model, params = fitted.imagination.model, fitted.params
  if not model.predicts_state:
    return found, {}
  windows = open_loop.take_windows(measured, _SPLIT.value)
  return found, open_loop.predicted_states(model, params, measured, windows, _DRAWN)


def _report(folder: pathlib.Path, results: dict[str, Any], states: dict) -> None:
  report = model_results.report(results)
  data, where = results["dataset"], _HELD_OUT.value or _SPLIT.value
  about = f"{data}, {where}, {_SEEDS.value} seeds"
  files.write_text(folder / "table.md", f"{about}\n\n{report}\n")
  print(report)
  if any(states.values()):
    known = [name for name in ("persistence", "floor") if results[name]]
    references = {name: results[name]["state_mse"] for name in known}
    curves = model_results.curves(results, "state_mse")
    model_figure.draw(folder / "model_error.png", states, curves, references, about)
  print(f"everything is in {folder}/")
