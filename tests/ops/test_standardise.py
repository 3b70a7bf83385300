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


def test_moments_by_hand():
  x = np.array([[0.0, 3.0, 0.0], [2.0, 3.0, 0.0], [4.0, 3.0, 0.03]], np.float32)
  m = ops.moments(x)
  np.testing.assert_allclose(m.mean, [2.0, 3.0, 0.01], rtol=1e-6)
  std = [np.sqrt(8 / 3), 0.0, 0.03 * np.sqrt(2) / 3]
  np.testing.assert_allclose(m.std, std, rtol=1e-6)
  # A constant feature has scale 1.
  np.testing.assert_allclose(m.scale, [std[0], 1.0, std[2]], rtol=1e-6)
  np.testing.assert_array_equal(m.varies, [True, False, True])
  np.testing.assert_array_equal(m.low, [0.0, 3.0, 0.0])


def test_a_rare_feature_is_floored_whatever_its_unit():
  rare = np.arange(10_000) == 0  # a deviation of 0.01 of its range
  m = ops.moments(np.stack([rare, 0.1 * rare, 10 * rare], 1).astype(np.float32))
  np.testing.assert_allclose(m.scale, [0.05, 0.005, 0.1], rtol=1e-3)
