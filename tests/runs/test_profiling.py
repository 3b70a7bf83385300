"""Operations counted by hand."""

import jax
import jax.numpy as jnp

from logo_jax.runs import profiling


def test_products_are_counted_where_they_run():
  x, y = jnp.ones((3, 4)), jnp.ones((4, 5))

  def fn(x, y):
    def step(carry, _):
      return carry + (x @ y).sum(), None

    total, _ = jax.lax.scan(step, 0.0, None, length=7)
    return total + jax.jit(lambda a, b: a @ b)(x, y).sum()

  # 3 * 5 outputs of depth 4, two operations each, in 7 steps and once more.
  assert profiling.matmul_flops(fn, x, y) == 2 * 3 * 5 * 4 * 8


def test_rates():
  rates = profiling.time_calls(jax.jit(lambda x: x + 1), jnp.zeros(()), repeats=3)
  assert len(rates.calls_per_second) == 3 and rates.median > 0


def test_the_machine_multiplies():
  assert profiling.matmul_gflops() > 0.1
