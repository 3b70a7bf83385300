"""The maths here runs under the strictest settings of whoever imports it."""

import jax
import pytest


@pytest.fixture(autouse=True)
def strict_promotion():
  """Neither dtypes nor ranks are promoted in silence."""
  with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
    yield
