import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import td


def test_target_by_hand():
  r, q = jnp.array([1.0, 1.0, 2.0]), jnp.array([10.0, 10.0, 50.0])
  discount = jnp.array([0.9, 0.0, 0.9])
  np.testing.assert_allclose(td.one_step_target(r, discount, q), [10.0, 1.0, 47.0])
  clipped = td.one_step_target(r, discount, q, value_range=(0.0, 20.0))
  np.testing.assert_allclose(clipped, [10.0, 1.0, 20.0])


def test_no_gradient_flows_into_the_target():
  grad = jax.grad(lambda q: td.one_step_target(jnp.float32(0), jnp.float32(1), q))
  assert grad(jnp.float32(3.0)) == 0.0
