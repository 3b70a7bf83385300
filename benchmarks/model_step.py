"""What an imagined step costs: LOGO beside ensembles (Table 5, LOGO, AAMAS 2026).

All models say the same of every step: next state, observations, reward, termination,
legal actions and their own uncertainty in calibrated units, which is the discrepancy of
paths for LOGO, the disagreement of all members for an ensemble, and nothing for the
direct model. Timed are

  sequential  500 trajectories of 10 steps one after the other: each is one call of a
              compiled scan with a batch of 1, and has ended before the next one starts
  batched     the same 500 trajectories in one call
  train step  loss and gradient on a batch of 128 transitions; an ensemble's is the sum
              over its members

without the policy: trajectories start from recorded steps of held-out episodes, which
the environment's behaviours have just played, and take the actions recorded there.
Parameters are untrained, which does not change what is computed. After two calls each,
which compile, the models are called by turns, so that whatever else the machine does
hits all alike; a ratio is the median over the rounds of the ratio to LOGO's call of the
same round. Beside them stand the parameters and the multiply-adds of a step: half the
operations that XLA counts in the compiled step of one trajectory, `cost_analysis()`,
element-wise ones among them, and those of the matrix products alone.

Ensembles, and the direct model, which is their member, come in two sizes: "same", as
wide as LOGO; and "matched", so wide that one member has as many parameters as LOGO, for
which each member is as good a model as LOGO may be expected to be. LOGO's parameters
include an encoder that only its training uses.

Prints a table, and JSON with `--out`.

Example: python benchmarks/model_step.py --scenario=smax/2s3z --networks=mlp,entity \
  --out=model_step.json
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import pathlib
import tempfile
import time
from typing import Any, NamedTuple

from absl import flags
from imagined_step import Inputs, Programs, num_parameters
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import cli, files, outcomes, presets, registry
from logo_jax.data import collect, dataset, source
from logo_jax.evaluation import open_loop
from logo_jax.reporting import tables
from logo_jax.types import Uncertainty, WorldModel

_SCENARIO = flags.DEFINE_string("scenario", "smax/2s3z", "Whose steps.")
_NETWORKS = flags.DEFINE_list("networks", ["mlp", "entity"], "Of mlp and entity.")
_MEMBERS = flags.DEFINE_list("members", ["5", "7"], "Sizes of ensembles.")
_HIDDEN = flags.DEFINE_integer("hidden_size", 256, "LOGO's, units.", 2)
_TRAJECTORIES = flags.DEFINE_integer("trajectories", 500, "How many.", 1)
_HORIZON = flags.DEFINE_integer("horizon", 10, "Steps of each.", 1)
_BATCH = flags.DEFINE_integer("batch_size", 128, "Of a training step.", 1)
_TRANSITIONS = flags.DEFINE_integer("transitions", 5000, "To record; see above.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 20, "Timed calls of each model.", 2)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")

# Of which widths must be multiples: the attention of entities has heads.
MULTIPLE = {"mlp": 1, "entity": 8}
MEASURES = ("sequential", "batched", "train_step")
_WARM_UPS = 2


class Subject(NamedTuple):
  """A world model that is timed."""

  network: str
  sizes: str  # "same" or "matched"; LOGO is the measure of both
  name: str
  hidden_size: int
  model: WorldModel
  uncertainty: Uncertainty


def main(argv: list[str]) -> None:
  del argv
  members = _check_flags()
  loaded = record(_SCENARIO.value, _TRANSITIONS.value)
  timed = [
    subjects(loaded, network, _HIDDEN.value, members) for network in _NETWORKS.value
  ]  # all before any is timed: a network may not fit the scenario
  inputs = draw(loaded, _TRAJECTORIES.value, _HORIZON.value, _BATCH.value)
  report: dict[str, Any] = {
    "device": outcomes.device_name(),
    "jax": jax.__version__,
    "scenario": _SCENARIO.value,
    "trajectories": _TRAJECTORIES.value,
    "horizon": _HORIZON.value,
    "batch_size": _BATCH.value,
    "repeats": _REPEATS.value,
    "models": [],
  }
  for of_network in timed:
    report["models"] += compare(of_network, inputs, _REPEATS.value)
    print(tables.text_table([line(row) for row in report["models"]]), flush=True)
    if _OUT.value:
      files.write_json(_OUT.value, report)


def _check_flags() -> list[int]:
  """Refuses before anything is played; returns the sizes of ensembles."""
  for network in _NETWORKS.value:
    if network not in MULTIPLE:
      raise ValueError(f"networks: allowed are {', '.join(MULTIPLE)}; got {network!r}")
    if _HIDDEN.value % MULTIPLE[network]:
      raise ValueError(
        f"hidden_size: must be a multiple of {MULTIPLE[network]} for {network}; got "
        f"{_HIDDEN.value}"
      )
  for text in _MEMBERS.value:
    if not text.isdecimal() or int(text) < 2:
      raise ValueError(f"members: must be whole numbers from 2 on; got {text!r}")
  if _OUT.value:  # what cannot be written is told before
    pathlib.Path(_OUT.value).absolute().parent.mkdir(parents=True, exist_ok=True)
  return [int(text) for text in _MEMBERS.value]


# What is timed.


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
  loaded: dataset.LoadedDataset, network: str, hidden_size: int, members: Sequence[int]
) -> list[Subject]:
  """LOGO first, then the others of the same width, then those that match its size."""

  def make(preset: str, sizes: str, width: int, num_members: int = 0) -> Subject:
    chosen = presets.get(preset)
    assert chosen.model is not None and chosen.uncertainty is not None
    fields: dict[str, Any] = {"network": network, "hidden_size": width}
    if num_members:
      fields["num_members"] = num_members
    name, config = chosen.model.name, dataclasses.replace(chosen.model.config, **fields)
    component = registry.Component(name, config)
    return Subject(
      network=network,
      sizes=sizes,
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
  for sizes, width in (("same", hidden_size), ("matched", matched)):
    found.append(make("direct", sizes, width))
    found += [make("ensemble", sizes, width, number) for number in members]
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


# Timing.


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
  chosen: Sequence[Subject], inputs: Inputs, repeats: int
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
  for measure in MEASURES:
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


if __name__ == "__main__":
  cli.run(main)
