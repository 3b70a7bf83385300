"""Updates per second against seeds side by side, and against devices.

One update of a learner on a batch of 128 transitions of its own for every seed, as
training does it: mapped over seeds, and these spread over devices. Devices are those of
this machine, or, on a CPU, as many as `--devices` says, each number in a process of its
own; they share its cores, so that what is seen there is only what spreading itself
costs.

Prints a table, and JSON with `--out`.

Example: python benchmarks/seeds.py --seeds=1,4,16,64 --devices=1,2,4 --out=seeds.json
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import made_up

from logo_jax import cli
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.runs import profiling
from logo_jax.training import parallel

_LEARNER = flags.DEFINE_string("learner", "bc", "Which.")
_HIDDEN = flags.DEFINE_integer("hidden_size", 256, "Units.", 1)
_SEEDS = flags.DEFINE_list("seeds", ["1", "2", "4", "8", "16", "32", "64"], "Numbers.")
_DEVICES = flags.DEFINE_list("devices", ["1"], "Numbers of devices.")
_STEPS = flags.DEFINE_integer("steps", 5, "Updates per call.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls.", 1)
_QUICK = flags.DEFINE_bool(
  "quick", False, "1 and 2 seeds, narrow, to see that it runs."
)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")
_ALONE = flags.DEFINE_bool("alone", False, "In this process; for the program itself.")


def main(argv: list[str]) -> None:
  del argv
  seeds = [1, 2] if _QUICK.value else [int(x) for x in _SEEDS.value]
  if _ALONE.value or _DEVICES.value == ["1"]:
    rows = [_measure(n) for n in seeds]
  else:
    rows = [row for n in _DEVICES.value for row in _in_process(int(n))]
  print(tables.text_table([_line(row) for row in rows]))
  if _OUT.value:
    report = {"learner": _LEARNER.value, "rates": rows}
    files.write_json(_OUT.value, report | made_up.machine())


def _measure(num_seeds: int) -> dict[str, Any]:
  spec = made_up.spec(5)
  width = 16 if _QUICK.value else _HIDDEN.value
  learner = made_up.learner(_LEARNER.value, spec, hidden_size=width)
  mesh = parallel.make_mesh(num_seeds, 1)
  keys = jax.vmap(jax.random.key)(jnp.arange(num_seeds))
  state = parallel.map_init(lambda key, _: learner.init(key), mesh, keys, shared=())
  data = parallel.replicate(made_up.batch(spec, (128,)), mesh)

  def updates(state, batch):
    def update(state, count):
      key = jax.random.fold_in(jax.random.key(1), count)
      return learner.update(state, batch, key)

    return jax.lax.scan(update, state, state.step + jnp.arange(_STEPS.value))

  chunk = parallel.map_chunk(updates, mesh, state)
  repeats = 2 if _QUICK.value else _REPEATS.value
  rates = profiling.time_calls(lambda s: chunk(s, data)[0], state, repeats)
  per_call = _STEPS.value * num_seeds
  return {
    "devices": mesh.size,
    "seeds": num_seeds,
    "updates_per_second": per_call * rates.median,
    "updates_per_second_range": [
      per_call * f(rates.calls_per_second) for f in (min, max)
    ],
    "compile_seconds": rates.compile_seconds,
  }


def _in_process(num_devices: int) -> list[dict[str, Any]]:
  with tempfile.TemporaryDirectory() as folder:
    out = pathlib.Path(folder) / "rates.json"
    flag = f"--xla_force_host_platform_device_count={num_devices}"
    env = os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flag}"}
    env |= {"NPROC": "16"}  # host devices wait for each other and need threads
    subprocess.run([*_command(), f"--out={out}"], check=True, env=env)
    return json.loads(out.read_text())["rates"]


def _command() -> list[str]:
  kept = [x for x in sys.argv[1:] if not x.startswith(("--out", "--devices"))]
  return [sys.executable, sys.argv[0], *kept, "--alone"]


def _line(row: dict[str, Any]) -> dict[str, str]:
  low, high = row["updates_per_second_range"]
  rate = f"{row['updates_per_second']:.1f} ({low:.1f} to {high:.1f})"
  return {
    "devices": f"{row['devices']}",
    "seeds": f"{row['seeds']}",
    "updates/s, all seeds": rate,
    "compile, s": f"{row['compile_seconds']:.1f}",
  }


if __name__ == "__main__":
  cli.run(main, cached=False)  # compiling is measured, too
