"""The codec of flat vectors, with numbers by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs import flat
from logo_jax.ops.standardise import Moments

# z = (x - 1) / 2 of the first feature, x of the second; the third never varies.
MOMENTS = Moments(
  mean=jnp.array([1.0, 0.0, 7.0]),
  std=jnp.array([2.0, 1.0, 0.0]),
  scale=jnp.array([2.0, 1.0, 1.0]),
  low=jnp.array([-3.0, -2.0, 7.0]),
  high=jnp.array([6.0, 2.0, 7.0]),
  varies=jnp.array([True, True, False]),
)
NOW, AFTER = jnp.array([3.0, 0.0, 7.0]), jnp.array([5.0, 1.0, 7.0])
INCREMENT = [0.5, 1.0, 9.0]  # z becomes 1.5 and 1 where 2 and 1 come
WIDE = [1e3] * 3  # the largest variance, e^0.5


def test_the_loss_is_that_of_the_increment():
  """Errors of 0.5 and 0: (0.25 e^-0.5 + 0.5) / 2 and 0.5 / 2, and their mean."""
  codec = flat.make(MOMENTS, None, 0.0)
  now, after = codec.encode(NOW), codec.encode(AFTER)
  output = jnp.array([INCREMENT + WIDE])
  assert codec.output_size == 6 and codec.num_tokens == 1
  np.testing.assert_allclose(codec.loss(output, now, after), 0.287908, rtol=1e-4)
  # beta-NLL of exponent 1: times the variance e^0.5.
  beta = flat.make(MOMENTS, None, 1.0)
  np.testing.assert_allclose(beta.loss(output, now, after), 0.474680, rtol=1e-4)
  np.testing.assert_allclose(
    codec.variance(output, now), [1.648721, 1.648721, 0.0], rtol=1e-4
  )
  said = codec.decode(output, now)
  np.testing.assert_allclose(codec.vector(said), [4.0, 1.0, 7.0], rtol=1e-6)
  np.testing.assert_allclose(codec.standardised(said), [1.5, 1.0, 0.0])
  np.testing.assert_allclose(codec.error(said, after), 0.125)


def test_without_a_variance_the_loss_is_the_squared_error():
  codec = flat.make(MOMENTS, None, None)
  now, after = codec.encode(NOW), codec.encode(AFTER)
  output = jnp.array([INCREMENT])
  assert codec.output_size == 3
  np.testing.assert_allclose(codec.loss(output, now, after), 0.125)
  np.testing.assert_array_equal(codec.variance(output, now), [0, 0, 0])


def test_vectors_stay_in_the_box():
  codec = flat.make(MOMENTS, None, None)
  far = codec.decode(jnp.array([[90.0, -90.0, 5.0]]), codec.encode(NOW))
  np.testing.assert_array_equal(codec.vector(far), [6.0, -2.0, 7.0])


@pytest.mark.parametrize("padding", [0.0, 100.0])
def test_what_is_padding_counts_for_nothing(padding):
  """The first agent has two features, the second one; errors are 0.5, 0 and 1."""
  mask = np.array([[True, True, False], [True, False, False]])
  codec = flat.make(MOMENTS, mask, None)
  x = jnp.array([[3.0, 0.0, padding], [1.0, padding, padding]])
  y = jnp.array([[5.0, 1.0, padding], [3.0, padding, padding]])
  now, after = codec.encode(x), codec.encode(y)
  np.testing.assert_array_equal(now.values[:, 0], [[1, 0, 0], [0, 0, 0]])
  output = jnp.array([[INCREMENT], [[0.0, 4.0, 4.0]]])
  said = codec.decode(output, now)
  np.testing.assert_allclose(codec.loss(output, now, after), 1.25 / 3, rtol=1e-6)
  np.testing.assert_allclose(codec.error(said, after), 1.25 / 3, rtol=1e-6)
  np.testing.assert_array_equal(codec.vector(said), [[4, 1, 0], [1, 0, 0]])
  np.testing.assert_array_equal(codec.vector(now), [[3, 0, 0], [1, 0, 0]])
