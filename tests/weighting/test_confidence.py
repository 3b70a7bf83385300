import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.weighting import confidence


def _make(**fields):
  return confidence.make(confidence.Config(**fields), None)  # type: ignore


def test_p_u_by_hand():
  u = jnp.array([0.0, 1.0, 5.0, 9.0])
  np.testing.assert_array_equal(confidence.confidence(u, 5.0), [5.0, 4.0, 0.0, 0.0])


def test_eq_7_by_hand():
  u = jnp.array([0.0, 1.0, 7.0])
  log_weight = _make(clip=2.0, temperature=1.0).log_weight(u)
  # exp(2), exp(1), exp(0) over their sum
  np.testing.assert_allclose(
    jax.nn.softmax(log_weight), [0.66524096, 0.24472847, 0.09003057], rtol=1e-6
  )
  sharp = _make(clip=2.0, temperature=0.5).log_weight(u)
  np.testing.assert_allclose(sharp, [4.0, 2.0, 0.0])


@pytest.mark.parametrize("field", ["clip", "temperature"])
def test_constants_must_be_positive(field):
  with pytest.raises(ValueError, match=f"weighting.{field}: must be above 0, got 0"):
    _make(**{field: 0.0})
