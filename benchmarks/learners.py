"""Updates per second of every learner, beside the machine's own matrix products.

One update on a batch that is already on the device, scanned `--steps` times in one
compiled call, after a call that compiles. Two sizes: "paper", a batch of 128
transitions and feed-forward networks 256 wide; "episodes", that of the published SMAC
code: windows of 71 steps, 128 at a time (9,088 transitions), with GRUs 64 wide. Data
are random numbers of the scenario's shapes; they do not change what is computed.

Prints a table, and JSON with `--out`.

Example: python benchmarks/learners.py --out=learners.json
"""

from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import made_up
import numpy as np

from logo_jax import cli
from logo_jax.configs import registry
from logo_jax.data import source
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.runs import outcomes, profiling
from logo_jax.types import Batch

_LEARNERS = flags.DEFINE_list(
  "learners",
  [x for x in registry.names("learner") if registry.eats(x) == "transitions"],
  "Which.",
)
_SCENARIOS = flags.DEFINE_list(
  "scenarios", ["smax/5m_vs_6m", "mamujoco/halfcheetah-6x1"], "Whose shapes."
)
_SIZES = flags.DEFINE_enum("sizes", "paper", ["paper", "episodes"], "See above.")
_STEPS = flags.DEFINE_integer(
  "steps", 0, "Updates per call; 0: 20, or 1 of episodes.", 0
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls.", 1)
_QUICK = flags.DEFINE_bool("quick", False, "BC alone, narrow, to see that it runs.")
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")

_WIDTH = {"paper": 256, "episodes": 64}
_BATCH = {"paper": (128,), "episodes": (128, 71)}


def main(argv: list[str]) -> None:
  del argv
  peak = profiling.matmul_gflops()
  rows = []
  for scenario in _SCENARIOS.value:
    for name in ["bc"] if _QUICK.value else _LEARNERS.value:
      rows.append(
        {"scenario": scenario, "learner": name, **_measure(name, scenario, peak)}
      )
      print(tables.text_table([_line(row) for row in rows[-1:]]), flush=True)
  report = {
    "device": outcomes.device_name(),
    "jax": jax.__version__,
    "sizes": _SIZES.value,
    "batch": list(_BATCH[_SIZES.value]),
    "hidden_size": _WIDTH[_SIZES.value],
    "matmul_gflops": peak,
    "learners": rows,
  }
  print(tables.text_table([_line(row) for row in rows]))
  if _OUT.value:
    files.write_json(_OUT.value, report)


def _measure(name: str, scenario: str, peak: float) -> dict[str, Any]:
  spec = source.spec(scenario + "/medium")
  assert spec is not None
  shape = _BATCH[_SIZES.value]
  fields: dict[str, Any] = {"hidden_size": 16 if _QUICK.value else _WIDTH[_SIZES.value]}
  if _SIZES.value == "episodes":
    fields |= {"recurrent": True, "window": shape[1]}
  if name == "mazero":  # at its own width, on windows of its own
    fields, shape = {}, _BATCH["paper"]
  learner = made_up.learner(name, spec, **fields)
  if learner.window > 1 and len(shape) == 1:
    shape = (shape[0] // learner.window, learner.window)
  batch = made_up.batch(spec, shape)
  steps = _STEPS.value or (20 if len(shape) == 1 else 1)
  key = jax.random.key(1)

  def updates(state: Any, batch: Batch) -> Any:
    def update(state: Any, count: jax.Array):
      return learner.update(state, batch, jax.random.fold_in(key, count))

    return jax.lax.scan(update, state, state.step + jnp.arange(steps))[0]

  state = jax.jit(learner.init)(jax.random.key(0))
  gflop = profiling.matmul_flops(updates, state, batch) / steps / 1e9
  run = jax.jit(updates, donate_argnums=0)
  rates = profiling.time_calls(lambda s: run(s, batch), state, _REPEATS.value)
  per_second = [steps * rate for rate in rates.calls_per_second]
  median = steps * rates.median
  return {
    "updates_per_second": median,
    "updates_per_second_range": [min(per_second), max(per_second)],
    "transitions_per_second": median * int(np.prod(shape)),
    "gflop_per_update": gflop,
    "share_of_matmul_rate": median * gflop / peak,
    "compile_seconds": rates.compile_seconds,
  }


def _line(row: dict[str, Any]) -> dict[str, str]:
  low, high = row["updates_per_second_range"]
  return {
    "scenario": row["scenario"],
    "learner": row["learner"],
    "updates/s": f"{row['updates_per_second']:.1f} ({low:.1f} to {high:.1f})",
    "transitions/s": f"{row['transitions_per_second']:,.0f}",
    "GFLOP": f"{row['gflop_per_update']:.2f}",
    "share": f"{row['share_of_matmul_rate']:.0%}",
  }


if __name__ == "__main__":
  cli.run(main, cached=False)  # compiling is measured, too
