"""How long cells take: as long as their like have taken, or by rates of two cores."""

from collections.abc import Mapping, Sequence
from typing import Any

from logo_jax.sweep.cells import Cell

# Seconds of an update of one seed at the presets' defaults on two CPU cores; with
# continuous actions second.
_RATES = {
  "bc": (0.004, 0.004),
  "macql": (0.012, 0.02),
  "omar": (0.012, 0.08),
  "cfcql": (0.012, 0.045),
  "omiga": (0.008, 0.006),
  "mappo": (0.6, 0.6),
  "mazero": (0.05, 0.05),
}
_RATE = 0.02
_PLANNED_RATE = 0.08  # where a planner advises
_LATENT_ROLLOUTS_RATE = 3.0  # where rollouts are in MAMBA's latents
# The same of fits, by model.
_FIT_RATES = {"ensemble": 0.05, "value_equivalent": 0.1, "rssm": 0.8}
_FIT_RATE, _ENTITY_RATE = 0.025, 0.06
_FIXED = {  # compiling, loading and playing
  "data": 40.0,
  "fit": 30.0,
  "experiment": 40.0,
  "model_error": 60.0,
  "model_step": 120.0,
  "model_states": 30.0,
  "visits": 30.0,
}


def estimates(cells: Sequence[Cell], seconds: Mapping[str, float]) -> dict[str, float]:
  """Seconds of each cell, one at a time on this machine.

  Args:
    cells: all of a plan, finished ones too.
    seconds: of those that are finished, by name, as far as known.

  Returns:
    Name to what was measured, else to what the like of it took for each update, else to
    what it takes by rates measured on two CPU cores.
  """
  known = [cell for cell in cells if cell.name in seconds]
  return {
    cell.name: seconds.get(cell.name) or _estimate(cell, known, seconds)
    for cell in cells
  }


def in_words(seconds: float) -> str:
  """A time as somebody reads it: "40 s", "12 min", "3 h 05"."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d}"


def _estimate(cell: Cell, known: Sequence[Cell], seconds: Mapping[str, float]) -> float:
  for same in (_sort(cell), _sort(cell)[:-1]):
    like = [c for c in known if _sort(c)[: len(same)] == same]
    if like:
      of_all = sum(seconds[c.name] for c in like) / sum(map(_work, like))
      return of_all * _work(cell)
  return _FIXED[cell.kind] + _rate(cell) * (_work(cell) if _rate(cell) else 0)


def _sort(cell: Cell) -> tuple[Any, ...]:
  """What cells that cost alike have in common; the scenario last."""
  model, learner = cell.config.get("model"), cell.config.get("learner")
  parts = [cell.kind]
  if cell.kind == "experiment" and learner:
    parts += [learner["name"]]
  if cell.kind in ("fit", "experiment", "model_error", "model_states"):
    parts += [model and (model["name"], model.get("network"))]
  return *parts, str(cell.config.get("dataset", "")).rpartition("/")[0]


def _work(cell: Cell) -> float:
  """Updates of all seeds, or 1."""
  config = cell.config
  seeds = config.get("num_seeds", 1)
  if cell.kind == "fit":
    return seeds * config["fit"]["updates"]
  return seeds * config["total_updates"] if cell.kind == "experiment" else 1.0


def _rate(cell: Cell) -> float:
  """Seconds of an update where nothing was measured; 0 of what has none."""
  config = cell.config
  if cell.kind == "fit":
    model = config["model"]
    entity = model.get("network") == "entity"
    return _FIT_RATES.get(model["name"], _ENTITY_RATE if entity else _FIT_RATE)
  if cell.kind != "experiment":
    return 0.0
  learner, model = config["learner"], config.get("model") or {}
  if learner["name"] == "mappo" and model.get("name") == "rssm":
    return _LATENT_ROLLOUTS_RATE
  if config.get("planner") and learner.get("advice_weight"):
    return _PLANNED_RATE
  rates = _RATES.get(learner["name"], (_RATE, _RATE))
  return rates[config["dataset"].startswith("mamujoco/")]
