"""Seconds from the start of a binary to the end of its first updates.

Starts `logo-jax train` several times, each in a folder of its own, and stops it when it
tells that the first compiled call, of 20 updates, is done: of the learner, or of the
world model's fit where there is one. The first start finds no compiled programs, later
ones what the first has left. Processor seconds stand beside, which other work on the
machine lengthens less. Prints a table, and JSON with `--out`.

Example: python benchmarks/startup.py --preset=macql --out=startup.json
"""

import os
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags
import made_up

from logo_jax import cli
from logo_jax.io import files
from logo_jax.reporting import tables

_PRESET = flags.DEFINE_string("preset", "macql", "Which system.")
_DATASET = flags.DEFINE_string("dataset", "smax/2s3z/medium-replay", "Which data.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_STARTS = flags.DEFINE_integer("starts", 3, "Starts after the first.", 1)
_QUICK = flags.DEFINE_bool(
  "quick", False, "One start after the first, narrow networks."
)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")

_PROGRESS = re.compile(r"\d/\d+(\.\d+)? \[")


def main(argv: list[str]) -> None:
  del argv
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    starts = 1 if _QUICK.value else _STARTS.value
    first, *others = [_start(folder, i) for i in range(starts + 1)]
  rows = {"first": first, "later": _median(others)}
  print(tables.text_table([{"start": k} | _line(row) for k, row in rows.items()]))
  if _OUT.value:
    report = {"preset": _PRESET.value, "later_starts": others, **rows}
    files.write_json(_OUT.value, report | made_up.machine())


def _start(folder: pathlib.Path, number: int) -> dict[str, float]:
  """Seconds until the first line of progress."""
  env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
  own = [
    f"--compilation_cache={folder / 'programs'}",
    f"--run_dir={folder / f'run{number}'}",
  ]
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  start = time.perf_counter()
  with subprocess.Popen(
    [*_command(), *own], env=env, stderr=subprocess.PIPE, text=True
  ) as process:
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
      told += line
      if _PROGRESS.search(line):
        break
    seconds = time.perf_counter() - start
    process.send_signal(signal.SIGKILL)  # no time is spent on stopping well
  if not _PROGRESS.search(told):
    raise RuntimeError(f"the run stopped before its first updates: {told}")
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
  return {"seconds": seconds, "processor_seconds": used}


def _command() -> list[str]:
  fields = {
    "dataset": _DATASET.value,
    "data_dir": _DATA_DIR.value,
    "total_updates": 40,
    "collect_interval": 20,
    "evaluation.interval": 40,
    "checkpoint.interval": 40,
    "fit.updates": 40,
    "fit.unroll_updates": 20,
    "fit.interval": 20,
  }
  if _QUICK.value:
    fields["learner.hidden_size"] = 8
  overrides = [f"--config.{name}={value}" for name, value in fields.items()]
  binary = pathlib.Path(__file__).parents[1] / "experiments/train.py"
  return [sys.executable, str(binary), f"--config={_PRESET.value}", *overrides]


def _median(starts: list[dict[str, float]]) -> dict[str, float]:
  return {name: statistics.median(x[name] for x in starts) for name in starts[0]}


def _line(row: dict[str, float]) -> dict[str, Any]:
  return {
    "seconds": f"{row['seconds']:.1f}",
    "processor seconds": f"{row['processor_seconds']:.1f}",
  }


if __name__ == "__main__":
  cli.run(main)
