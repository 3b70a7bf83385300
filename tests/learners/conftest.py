"""Data that the tests of several learners share."""

import pytest

from logo_jax.data.dataset import load
from tests import toys


@pytest.fixture(scope="session")
def game():
  return load(toys.matrix_game())


@pytest.fixture(scope="session")
def lq():
  return load(toys.linear_quadratic())
