"""Throughput of the compiled steps, beside the machine's own matrix products.

Measures updates per second of the model fit, of the learner's update, and of whole
training with imagination, at the preset's sizes, after compilation, several times over.
Of a learner on rollouts: each of its phases, with imagined steps and descents per
second, and its rollouts alone. The floating-point operations are those of the matrix
products in the traced programs; the share is relative to the rate of a large matrix
product measured in the same process. Prints JSON.

Example: python benchmarks/train_step.py --preset=logo --steps=20 --out=bench.json
"""

from collections.abc import Callable
import dataclasses
import json
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp

from logo_jax import cli
from logo_jax.configs import presets
from logo_jax.configs.config import ExperimentConfig
from logo_jax.io import files
from logo_jax.runs import experiment, outcomes, profiling
from logo_jax.training import parallel
from logo_jax.training.compose import System, compose
from logo_jax.training.fit_model import make_fit, phases
from logo_jax.training.step import make_train, stages

_PRESET = flags.DEFINE_string("preset", "logo_macql", "Which system.")
_DATASET = flags.DEFINE_string("dataset", "smax/2s3z/medium-replay", "Which data.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_SEEDS = flags.DEFINE_integer("num_seeds", 1, "Runs side by side.", 1)
_STEPS = flags.DEFINE_integer("steps", 250, "Updates per compiled call.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls, after one to compile.", 1)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON, beside printing it.")


def main(argv: list[str]) -> None:
  del argv
  config = presets.get(_PRESET.value)
  (length, _), *_ = phases(config.fit)  # of the windows that the fit begins with
  config = dataclasses.replace(
    config,
    dataset=_DATASET.value,
    data_dir=_DATA_DIR.value,
    num_seeds=_SEEDS.value,
    collect_interval=_STEPS.value,
    fit=dataclasses.replace(config.fit, updates=_STEPS.value, interval=_STEPS.value),
  )
  loaded = experiment.load_dataset(config)
  system = compose(config, loaded.spec, loaded.statistics)
  mesh = parallel.make_mesh(config.num_seeds, 1)
  data = parallel.replicate(loaded.data, mesh)
  keys = jax.vmap(jax.random.key)(jnp.arange(config.num_seeds))
  report: dict[str, Any] = {
    "preset": config.preset,
    "device": f"{outcomes.device_name()} x{mesh.size}",
    "jax": jax.__version__,
    "num_seeds": config.num_seeds,
    "batch_size": config.batch_size,
    "matmul_gflops": profiling.matmul_gflops(),
  }
  peak = report["matmul_gflops"]
  model_params: Any = ()
  if system.imagination is not None:
    fit = make_fit(system.imagination.model, config.fit, length=length)
    state = parallel.map_init(fit.init, mesh, keys, shared=data)
    model_params = jax.tree.map(jnp.copy, state.params)
    report["fit_model"] = _measure(fit.chunk, mesh, state, data, peak, _STEPS.value)
  for name, (part, phase) in _parts(system, config).items():
    train = make_train(part, config, phase=phase)
    fold = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    params = model_params if part.imagination is not None else ()
    state = parallel.map_init(train.init, mesh, fold, params, shared=data)
    stage = {s.name: s for s in stages(part, config)}[phase]
    report[name] = _measure(train.chunk, mesh, state, data, peak, stage.interval)
    if stage.eats == "rollouts":
      report[name] |= _on_rollouts(report[name], config, name == "train")
  print(json.dumps(report, indent=2))
  if _OUT.value:
    files.write_json(_OUT.value, report)


def _parts(system: System, config: ExperimentConfig) -> dict[str, tuple[System, str]]:
  """What is measured by label: a system, and a phase of its learner."""
  learner = system.learner
  if learner.eats == "rollouts":
    idle = learner._replace(update=lambda state, rollouts, key: (state, {}))
    own = {s.name: (system, s.name) for s in stages(system, config)}
    return own | {"rollouts_alone": (system._replace(learner=idle), "train")}
  parts = {"learner": (System(learner, None), "train")}
  if system.imagination is not None:
    parts["learner_and_imagination"] = (system, "train")
  return parts


def _on_rollouts(
  measured: dict[str, Any], config: ExperimentConfig, policy: bool
) -> dict[str, float]:
  """Per second: steps of the model, and of the optimizers if they take any."""
  rate, learner = measured["updates_per_second"], config.learner.config
  steps = {"imagined_steps_per_second": rate * config.num_starts * config.horizon}
  if policy:
    passes = learner.num_epochs * learner.num_minibatches
    steps["descents_per_second"] = rate * passes
  return steps


def _measure(
  fn: Callable[..., Any], mesh: Any, state: Any, data: Any, peak: float, steps: int
) -> dict[str, Any]:
  """Compiles a chunk, then times it; a chunk is `steps` updates of every seed."""
  traces = 0

  def counted(state, data):
    nonlocal traces
    traces += 1
    return fn(state, data)

  chunk = parallel.map_chunk(counted, mesh, state)
  one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state)
  gflop = profiling.matmul_flops(fn, one, data) / steps / 1e9
  timed = profiling.time_calls(lambda s: chunk(s, data)[0], state, _REPEATS.value)
  updates = steps * _SEEDS.value
  rates = [updates * rate for rate in timed.calls_per_second]
  rate = updates * timed.median
  return {
    "updates_per_second": rate,
    "updates_per_second_range": [min(rates), max(rates)],
    "gflop_per_update": gflop,
    "share_of_matmul_rate": rate * gflop / peak,
    "compile_seconds": timed.compile_seconds,
    "traces": traces,
  }


if __name__ == "__main__":
  cli.run(main, cached=False)  # compiling is measured, too
