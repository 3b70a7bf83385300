"""OS(lambda) by hand, and against plain Python on trees drawn at random."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops.os_lambda import os_lambda


def test_by_hand():
  # The node itself: 1. Depth 1: 4, 2, 3 and 0 of which half are kept, 4 and 3. Depth 2:
  # 8, kept since one always is. Others are not below.
  # (1 + 0.5 (4 + 3) + 0.25 * 8) / (1 + 0.5 * 2 + 0.25) = 6.5 / 2.25.
  returns = jnp.array([1.0, 4.0, 2.0, 3.0, 0.0, 8.0, 100.0])
  depth = jnp.array([0, 1, 1, 1, 1, 2, 1])
  below = jnp.array([True] * 6 + [False])
  got = os_lambda(returns, depth, below, 0.5, 0.5)
  np.testing.assert_allclose(got, 6.5 / 2.25, rtol=1e-6)
  mean = os_lambda(returns, depth, below, 0.0, 1.0)
  np.testing.assert_allclose(mean, 18.0 / 6.0, rtol=1e-6)


def _plain(returns, depth, below, rho, decay):
  top, bottom = 0.0, 0.0
  for d in set(depth[below]):
    values = sorted(returns[below & (depth == d)], reverse=True)
    num = max(1, math.ceil(round((1 - rho) * len(values), 6)))
    top += decay**d * sum(values[:num])
    bottom += decay**d * num
  return top / bottom


@pytest.mark.parametrize(("rho", "decay"), [(0.75, 0.8), (0.25, 0.8), (0.1, 1.0)])
def test_against_plain_python(rho, decay):
  rng = np.random.default_rng(0)
  fn = jax.jit(lambda r, d, b: os_lambda(r, d, b, rho, decay))
  for _ in range(20):
    # Halves, so that there are ties.
    returns = (rng.integers(-6, 6, 24) / 2).astype(np.float32)
    depth = np.append(0, rng.integers(1, 4, 23))
    below = np.append(True, rng.random(23) < 0.7)
    got = fn(jnp.array(returns), jnp.array(depth), jnp.array(below))
    wanted = _plain(returns, depth, below, rho, decay)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
