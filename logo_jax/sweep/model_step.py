"""What imagined steps of world models cost, measured side by side.

`benchmarks/model_step.py` says what is timed, and how.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import tempfile
import time
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from logo_jax.checks import ranges
from logo_jax.configs import presets, registry
from logo_jax.data import collect, dataset, source
from logo_jax.evaluation import open_loop
from logo_jax.runs import outcomes
from logo_jax.sweep.imagined_step import Inputs, Programs, num_parameters
from logo_jax.types import Uncertainty, WorldModel

# Of which widths must be multiples: the attention of entities has heads.
MULTIPLE = {"mlp": 1, "entity": 8}
MEASURES = ("sequential", "batched", "train_step")
_WARM_UPS = 2


@dataclasses.dataclass(frozen=True)
class Config:
  """What is timed, and how often."""

  scenario: str  # whose steps
  networks: tuple[str, ...] = ("mlp", "entity")  # of world models
  members: tuple[int, ...] = (5, 7)  # sizes of ensembles
  hidden_size: int = 256  # LOGO's, units
  # "same": others as wide as LOGO. "matched": so wide that one member of an ensemble
  # has as many parameters.
  sizes: tuple[str, ...] = ("same", "matched")
  # Presets whose world models are timed beside those of the first network, as they are.
  others: tuple[str, ...] = ()
  trajectories: int = 500
  horizon: int = 10  # steps of each
  batch_size: int = 128  # transitions of a training step
  transitions: int = 5_000  # to record; trajectories start from held-out ones
  repeats: int = 20  # timed calls of each model
  measures: tuple[str, ...] = MEASURES  # what is timed


class Subject(NamedTuple):
  """A world model that is timed."""

  network: str
  sizes: str  # "same" or "matched"; LOGO is the measure of both
  name: str
  hidden_size: int
  model: WorldModel
  uncertainty: Uncertainty


def check(config: Config) -> None:
  """Refuses what can be refused before anything is played.

  Raises:
    ValueError: naming the field, the value and what is allowed.
  """
  for network in config.networks:
    if network not in MULTIPLE:
      raise ValueError(f"networks: allowed are {', '.join(MULTIPLE)}; got {network!r}")
    if config.hidden_size % MULTIPLE[network]:
      raise ValueError(
        f"hidden_size: must be a multiple of {MULTIPLE[network]} for {network}; got "
        f"{config.hidden_size}"
      )
  for number in config.members:
    if number < 2:
      raise ValueError(f"members: must be whole numbers from 2 on; got {number}")
  for name in config.sizes:
    if name not in ("same", "matched"):
      raise ValueError(f"sizes: allowed are same, matched; got {name!r}")
  for name in config.measures:
    if name not in MEASURES:
      raise ValueError(f"measures: allowed are {', '.join(MEASURES)}; got {name!r}")
  counts = "trajectories horizon batch_size transitions".split()
  ranges.check(
    "", config, repeats="[2", hidden_size="[2", **dict.fromkeys(counts, "[1")
  )


def measured(
  config: Config, show: Callable[[dict[str, Any]], None] = lambda report: None
) -> dict[str, Any]:
  """Lets behaviours play, and times all models on what they played.

  Args:
    config: what is timed.
    show: called with the report so far after each network.

  Returns:
    What was timed and where; `models` are the rows of `compare`.

  Raises:
    ValueError: a field is out of range, or a network does not fit the scenario.
  """
  check(config)
  loaded = record(config.scenario, config.transitions)
  timed = [
    subjects(loaded, network, config.hidden_size, config.members, config.sizes)
    for network in config.networks
  ]  # all before any is timed: a network may not fit the scenario
  timed[0] += others(loaded, config.others)
  inputs = draw(loaded, config.trajectories, config.horizon, config.batch_size)
  about = {"device": outcomes.device_name(), "versions": outcomes.versions()}
  report: dict[str, Any] = about | dataclasses.asdict(config) | {"models": []}
  for of_network in timed:
    report["models"] += compare(of_network, inputs, config.repeats, config.measures)
    show(report)
  return report


def record(scenario: str, num_transitions: int) -> dataset.LoadedDataset:
  """Lets the shipped behaviours play; nothing is left on disk."""
  name = f"{scenario}/medium-replay"
  with tempfile.TemporaryDirectory() as folder:
    collect.collect(collect.Request(name, num_transitions), folder)
    return dataset.load(source.read(name, folder))


def draw(
  loaded: dataset.LoadedDataset, trajectories: int, horizon: int, batch_size: int
) -> Inputs:
  """Draws recorded steps, with replacement: trajectories of held-out episodes.

  Raises:
    ValueError: no held-out episode has `horizon` steps.
  """
  rng = np.random.default_rng(0)
  windows = open_loop.take_windows(loaded, most=loaded.num_transitions)
  first = windows.start[windows.left >= horizon]
  if not len(first):
    raise ValueError(
      f"horizon: no held-out episode has {horizon} steps; take fewer, or more "
      "transitions"
    )
  first = rng.choice(first, trajectories)
  rows = loaded.data.rows
  trained_on = rng.choice(np.asarray(loaded.data.train), batch_size)
  return Inputs(
    starts=dataset.transitions(rows, jnp.asarray(first)),
    actions=rows.action[first[:, None] + np.arange(horizon)],
    batch=dataset.transitions(rows, jnp.asarray(trained_on)),
  )


def subjects(
  loaded: dataset.LoadedDataset,
  network: str,
  hidden_size: int,
  members: Sequence[int],
  sizes: Sequence[str] = ("same", "matched"),
) -> list[Subject]:
  """LOGO first, then the others of the same width, then those that match its size."""

  def make(preset: str, size: str, width: int, num_members: int = 0) -> Subject:
    chosen = presets.get(preset)
    assert chosen.model is not None and chosen.uncertainty is not None
    fields: dict[str, Any] = {"network": network, "hidden_size": width}
    if num_members:
      fields["num_members"] = num_members
    name, config = chosen.model.name, dataclasses.replace(chosen.model.config, **fields)
    component = registry.Component(name, config)
    return Subject(
      network=network,
      sizes=size,
      name=f"{preset} of {num_members}" if num_members else preset,
      hidden_size=width,
      model=registry.make("model", component, loaded.spec, loaded.statistics),
      uncertainty=registry.make("uncertainty", chosen.uncertainty, loaded.statistics),
    )

  logo = make("logo", "same", hidden_size)
  matched = matched_width(
    lambda width: num_parameters(make("direct", "matched", width).model),
    num_parameters(logo.model),
    MULTIPLE[network],
  )
  found = [logo]
  widths = {"same": hidden_size, "matched": matched}
  for size in sizes:
    found.append(make("direct", size, widths[size]))
    found += [make("ensemble", size, widths[size], number) for number in members]
  return found


def others(loaded: dataset.LoadedDataset, names: Sequence[str]) -> list[Subject]:
  """World models of presets, with networks of their own.

  Raises:
    ValueError: there is no such preset, or it has none.
  """
  found = []
  for name in names:
    chosen = presets.get(name)
    if chosen.model is None or chosen.uncertainty is None:
      raise ValueError(f"others: {name!r} has no world model")
    model = registry.make("model", chosen.model, loaded.spec, loaded.statistics)
    uncertainty = registry.make("uncertainty", chosen.uncertainty, loaded.statistics)
    width = chosen.model.config.hidden_size
    found.append(Subject("own", "own", name, width, model, uncertainty))
  return found


def matched_width(count: Callable[[int], int], target: int, multiple: int) -> int:
  """The width whose number of parameters, which grows with it, is nearest `target`.

  Args:
    count: of parameters, by width.
    target: how many there should be.
    multiple: of which widths are multiples.
  """
  low, high = 1, 2
  while count(high * multiple) < target:
    low, high = high, 2 * high
  while high - low > 1:
    middle = (low + high) // 2
    enough = count(middle * multiple) >= target
    low, high = (low, middle) if enough else (middle, high)
  widths = low * multiple, high * multiple
  return min(widths, key=lambda width: abs(count(width) - target))


def by_turns(
  calls: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, np.ndarray]:
  """Seconds [repeats] of each call, round by round; whose turn is first, rotates."""
  for call in calls.values():
    for _ in range(_WARM_UPS):
      call()
  names = list(calls)
  seconds: dict[str, list[float]] = {name: [] for name in names}
  for i in range(repeats):
    first = i % len(names)
    for name in names[first:] + names[:first]:
      begin = time.perf_counter()
      calls[name]()
      seconds[name].append(time.perf_counter() - begin)
  return {name: np.array(x) for name, x in seconds.items()}


def compare(
  chosen: Sequence[Subject],
  inputs: Inputs,
  repeats: int,
  measures: Sequence[str] = MEASURES,
) -> list[dict[str, Any]]:
  """Times models against the first of them.

  Returns:
    A row for each: what it is, its work, and by measure the seconds of a call with
    their spread and the ratio to the first.
  """
  programs = [Programs(s.model, s.uncertainty, inputs) for s in chosen]
  rows: list[dict[str, Any]] = []
  for subject, program in zip(chosen, programs, strict=True):
    fields = ("network", "sizes", "name", "hidden_size")
    rows.append({field: getattr(subject, field) for field in fields} | program.work())
  for row in rows:
    row["multiply_adds_to_logo"] = row["multiply_adds"] / rows[0]["multiply_adds"]
    row["parameters_to_logo"] = row["parameters"] / rows[0]["parameters"]
  calls = [program.calls() for program in programs]
  for measure in measures:
    seconds = by_turns({str(i): c[measure] for i, c in enumerate(calls)}, repeats)
    for row, own in zip(rows, seconds.values(), strict=True):
      row[measure] = _spread(own) | {"to_logo": _spread(own / seconds["0"])}
  return rows


def _spread(values: np.ndarray) -> dict[str, Any]:
  low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
  return {"median": median, "quartiles": [low, high], "min": values.min()}


def line(row: Mapping[str, Any]) -> dict[str, str]:
  """A row of the printed table."""
  cells = {
    "network": row["network"],
    "sizes": row["sizes"],
    "model": row["name"],
    "hidden": str(row["hidden_size"]),
    "parameters": f"{row['parameters'] / 1e6:.2f}M",
    "multiply-adds": f"{row['multiply_adds'] / 1e6:.2f}M",
    "x LOGO": f"{row['multiply_adds_to_logo']:.2f}",
  }
  for measure in MEASURES:
    spread, ratio = row[measure], row[measure]["to_logo"]["median"]
    low, high = (1e3 * x for x in spread["quartiles"])
    cells[f"{measure} ms"] = f"{1e3 * spread['median']:.1f} ({low:.1f} to {high:.1f})"
    cells[f"x LOGO, {measure}"] = f"{ratio:.2f}"
  return cells
