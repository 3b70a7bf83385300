"""Imagined steps per second against batch, horizon and number of agents.

Rolls a preset's policies out in its world model, untrained, scored and weighed as for a
ring of rows. One thing varies at a time around 512 rollouts of 10 steps of 5 agents. In
the made-up game an agent observes 64 numbers and the state has 16 for every agent. All
cases are called by turns. Prints a table, and JSON with `--out`.

Example: python benchmarks/imagination.py --out=imagination.json
"""

from collections.abc import Callable
import dataclasses
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import made_up

from logo_jax import cli
from logo_jax.configs import presets
from logo_jax.imagination.rows import imagine_rows
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.runs import profiling
from logo_jax.training.compose import compose

_PRESET = flags.DEFINE_string("preset", "logo_macql", "A system with a ring of rows.")
_BATCHES = flags.DEFINE_list("batches", ["32", "128", "512", "2048"], "Rollouts.")
_HORIZONS = flags.DEFINE_list("horizons", ["1", "5", "10", "20"], "Steps of each.")
_AGENTS = flags.DEFINE_list("agents", ["2", "5", "8", "16", "32", "64"], "Agents.")
_REPEATS = flags.DEFINE_integer("repeats", 10, "Timed calls of each case.", 1)
_QUICK = flags.DEFINE_bool("quick", False, "Two tiny cases, to see that it runs.")
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")

_USUAL = {"batch": 512, "horizon": 10, "agents": 5}


def main(argv: list[str]) -> None:
  del argv
  peak = profiling.matmul_gflops()
  cases = _cases()
  programs = [_program(**case) for case in cases]
  seconds = made_up.by_turns(
    {i: call for i, (call, _) in enumerate(programs)},
    2 if _QUICK.value else _REPEATS.value,
  )
  rows = []
  for i, times in made_up.summary(seconds, 0).items():
    steps = cases[i]["batch"] * cases[i]["horizon"]
    gflop = programs[i][1]
    rate = {
      "imagined_steps_per_second": steps / times["seconds"],
      "gflop_per_call": gflop,
      "share_of_matmul_rate": gflop / times["seconds"] / peak,
    }
    rows.append(cases[i] | times | rate)
  print(tables.text_table([_line(row) for row in rows]))
  if _OUT.value:
    report = {"preset": _PRESET.value, "matmul_gflops": peak, "cases": rows}
    files.write_json(_OUT.value, report | made_up.machine())


def _cases() -> list[dict[str, int]]:
  if _QUICK.value:
    return [{"batch": 4, "horizon": 2, "agents": n} for n in (2, 3)]
  varied = {
    "batch": _BATCHES.value,
    "horizon": _HORIZONS.value,
    "agents": _AGENTS.value,
  }
  all_of_them = [_USUAL | {k: int(x)} for k, xs in varied.items() for x in xs]
  return [c for i, c in enumerate(all_of_them) if c not in all_of_them[:i]]


def _program(batch: int, horizon: int, agents: int) -> tuple[Callable[[], Any], float]:
  """A call that imagines, and the GFLOP of its matrix products."""
  spec = made_up.spec(agents)
  config = dataclasses.replace(presets.get(_PRESET.value), horizon=horizon)
  system = compose(config, spec, made_up.statistics_of(spec))
  imagination, learner = system.imagination, system.learner
  assert imagination is not None
  k_model, k_score, k_learner = jax.random.split(jax.random.key(0), 3)
  starts = made_up.batch(spec, (batch,)).transition
  starts = starts._replace(time=jnp.zeros(batch, jnp.int32))
  model = imagination.model.init(k_model)
  score = imagination.uncertainty.init(
    imagination.model, model, starts, starts, k_score
  )
  params = model, score, learner.init(k_learner).params

  def imagine(params: Any, key: jax.Array) -> Any:
    return imagine_rows(imagination, learner.actor, params, starts, horizon, key)

  run = jax.jit(imagine)
  flops = profiling.matmul_flops(imagine, params, jax.random.key(1))
  return lambda: run(params, jax.random.key(1)), flops / 1e9


def _line(row: dict[str, Any]) -> dict[str, str]:
  low, high = (1e3 * x for x in row["seconds_range"])
  return {
    "rollouts": f"{row['batch']}",
    "steps": f"{row['horizon']}",
    "agents": f"{row['agents']}",
    "ms": f"{1e3 * row['seconds']:.1f} ({low:.1f} to {high:.1f})",
    "imagined steps/s": f"{row['imagined_steps_per_second']:,.0f}",
    "share": f"{row['share_of_matmul_rate']:.0%}",
  }


if __name__ == "__main__":
  cli.run(main)
