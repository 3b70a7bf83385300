"""Memory of training, beside that of what has to be kept.

Compiles a preset's chunk of updates on a dataset and reads from the program what it
holds: its arguments (data; the state, that is networks, optimizers, targets and the
ring), and what it needs beside them while it runs. The state is donated and stays where
it is. Nothing is trained. The most that the process ever held, with all that loading
and compiling took, stands beside.

Prints a table, and JSON with `--out`.

Example: python benchmarks/memory.py --preset=macql --data_dir=data --out=memory.json
"""

import dataclasses
import resource
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import made_up

from logo_jax import cli
from logo_jax.configs import presets
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.runs import experiment
from logo_jax.training import parallel
from logo_jax.training.compose import compose
from logo_jax.training.step import make_train

_PRESET = flags.DEFINE_string("preset", "logo_macql", "Which system.")
_DATASET = flags.DEFINE_string("dataset", "smax/2s3z/medium-replay", "Which data.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_SEEDS = flags.DEFINE_integer("num_seeds", 1, "Runs side by side.", 1)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")


def main(argv: list[str]) -> None:
  del argv
  config = dataclasses.replace(
    presets.get(_PRESET.value),
    dataset=_DATASET.value,
    data_dir=_DATA_DIR.value,
    num_seeds=_SEEDS.value,
  )
  before = _resident()
  loaded = experiment.load_dataset(config)
  system = compose(config, loaded.spec, loaded.statistics)
  mesh = parallel.make_mesh(config.num_seeds, 1)
  data = parallel.replicate(loaded.data, mesh)
  keys = jax.vmap(jax.random.key)(jnp.arange(config.num_seeds))
  model: Any = ()
  if system.imagination is not None:
    model = jax.jit(jax.vmap(system.imagination.model.init))(keys)
  train = make_train(system, config)
  folded = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
  state = parallel.map_init(train.init, mesh, folded, model, shared=data)
  program = parallel.map_chunk(train.chunk, mesh, state).lower(state, data).compile()
  needs = program.memory_analysis()
  ring = _size(getattr(state, "ring", ()))
  report = {
    "data": _size(data),
    "ring": ring,
    "rest_of_state": _size(state) - ring,
    "program_beside": needs.temp_size_in_bytes
    + max(0, needs.output_size_in_bytes - needs.alias_size_in_bytes),
    "resident_growth": _resident() - before,
  }
  kept = report["data"] + report["ring"] + report["rest_of_state"]
  report["ratio"] = (kept + report["program_beside"]) / kept
  print(tables.text_table([_line(report)]))
  if _OUT.value:
    files.write_json(_OUT.value, report | {"preset": _PRESET.value} | made_up.machine())


def _size(tree: Any) -> int:
  return sum(x.nbytes for x in jax.tree.leaves(tree))


def _resident() -> int:
  """The most that the process has held so far, bytes."""
  return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _line(report: dict[str, Any]) -> dict[str, str]:
  sizes = {k: f"{v / 1e6:.1f} MB" for k, v in report.items() if k != "ratio"}
  return sizes | {"(kept + program) / kept": f"{report['ratio']:.2f}"}


if __name__ == "__main__":
  cli.run(main)
