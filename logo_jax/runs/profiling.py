"""Measuring compiled steps: rates, floating-point operations, and the machine's own."""

from collections.abc import Callable
import statistics
import time
from typing import Any, NamedTuple

import jax
import numpy as np


class Rates(NamedTuple):
  """Repeated measurements of one compiled call."""

  calls_per_second: list[float]  # one per repeat
  compile_seconds: float  # of the first call, beyond a later one

  @property
  def median(self) -> float:
    """The median rate, calls/s."""
    return statistics.median(self.calls_per_second)


def time_calls(fn: Callable[[Any], Any], state: Any, repeats: int) -> Rates:
  """Times `state = fn(state)` after one call that compiles.

  Args:
    fn: compiled; it may donate its argument.
    state: where to begin.
    repeats: timed calls.
  """
  start = time.perf_counter()
  state = jax.block_until_ready(fn(state))
  first = time.perf_counter() - start
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    state = jax.block_until_ready(fn(state))
    seconds.append(time.perf_counter() - start)
  return Rates([1 / s for s in seconds], first - statistics.median(seconds))


def matmul_flops(fn: Callable[..., Any], *args: Any) -> float:
  """Operations of the matrix products in a traced program, two per multiply-add."""
  return _matmul_flops(jax.make_jaxpr(fn)(*args).jaxpr)


def matmul_gflops() -> float:
  """The best rate of several chains of large float32 products, GFLOP/s."""
  size, chain = (4096, 50) if jax.default_backend() != "cpu" else (1024, 10)
  x = jax.random.normal(jax.random.key(0), (size, size)) / size**0.5
  run = jax.jit(lambda x: jax.lax.fori_loop(0, chain, lambda _, y: y @ x, x))
  rates = time_calls(lambda _: run(x), x, repeats=5)
  return 2 * size**3 * chain * max(rates.calls_per_second) / 1e9


def _matmul_flops(jaxpr: Any) -> float:
  total = 0.0
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == "dot_general":
      (contract, _), _ = eqn.params["dimension_numbers"]
      shape = eqn.invars[0].aval.shape
      depth = np.prod([shape[i] for i in contract], initial=1)
      total += 2 * depth * np.prod(eqn.outvars[0].aval.shape, initial=1)
    repeats = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
    for value in eqn.params.values():
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        total += repeats * _matmul_flops(inner)
  return float(total)
