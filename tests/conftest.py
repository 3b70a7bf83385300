"""Settings of all tests: four host devices, a shared compilation cache, key checks."""

import importlib.metadata
import os
import pathlib

# Several virtual devices on few cores can starve each other at a rendezvous; XLA reads
# this for the size of its thread pool, before JAX starts.
os.environ.setdefault("NPROC", "16")
# Compiling takes most of the time of tests, whose programs run once and are small. It
# takes a third where loops are not made by way of MLIR; XLA ends a process whose flags
# it does not know, and not every version knows this one.
_QUICK = "--xla_backend_optimization_level=0"
if importlib.metadata.version("jaxlib").startswith("0.10."):
  _QUICK += " --xla_cpu_use_fusion_emitters=false"
_FLAGS = os.environ.get("XLA_FLAGS", "")  # of two that differ, the last one counts
os.environ["XLA_FLAGS"] = f"{_QUICK} {_FLAGS}"
# For the binaries that tests start as processes, too.
_CACHE = pathlib.Path(__file__).parents[1] / ".jax_cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_DEBUG_KEY_REUSE", "1")

import jax  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
