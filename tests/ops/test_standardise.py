import jax.numpy as jnp
import numpy as np

from logo_jax.ops import standardise as ops

MOMENTS = ops.Moments(
  mean=jnp.array([1.0, 5.0]),
  std=jnp.array([2.0, 0.0]),
  scale=jnp.array([2.0, 1.0]),
  low=jnp.array([-3.0, 5.0]),
  high=jnp.array([4.0, 5.0]),
  varies=jnp.array([True, False]),
)


def test_standardise_by_hand():
  z = ops.standardise(jnp.array([[5.0, 5.0], [-1.0, 5.0]]), MOMENTS)
  np.testing.assert_array_equal(z, [[2.0, 0.0], [-1.0, 0.0]])


def test_unstandardise_inverts_and_clips_to_the_box():
  x = ops.unstandardise(jnp.array([[1.0, 0.0], [2.0, 3.0], [-9.0, -1.0]]), MOMENTS)
  np.testing.assert_array_equal(x, [[3.0, 5.0], [4.0, 5.0], [-3.0, 5.0]])


def test_varying_mean_leaves_constant_features_out():
  x = jnp.array([[1.0, 100.0], [3.0, 100.0]])
  assert ops.varying_mean(x, MOMENTS) == 2.0
  scalar = ops.Moments(*(jnp.float32(1) for _ in range(5)), varies=jnp.array(True))
  assert ops.varying_mean(jnp.array([1.0, 2.0]), scalar) == 1.5
