"""The figure of a dataset: a PNG with all its panels, or nothing."""

import types

from matplotlib import image
import numpy as np
import pytest

from logo_jax.reporting import dataset_figure


def _bands(num: int, scale: float = 1.0) -> types.SimpleNamespace:
  high = scale * np.linspace(0.1, 1, num)
  return types.SimpleNamespace(least=-high, low=-high / 2, high=high / 2, greatest=high)


def _numbers(num_episodes: int = 40) -> types.SimpleNamespace:
  rng = np.random.default_rng(0)
  return types.SimpleNamespace(
    returns=rng.normal(size=num_episodes),
    lengths=rng.integers(3, 90, num_episodes),
    obs=_bands(6),
    state=_bands(20, scale=100.0),
    points=rng.normal(size=(200, 2)),
    explained=np.array([0.5, 0.2]),
    point_returns=rng.normal(size=200),
    reward_counts=np.array([100, 0, 1]),
    reward_edges=np.array([0.0, 1, 2, 3]),
  )


def _close_to(pixels: np.ndarray, colour: str) -> int:
  rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
  return int((np.abs(pixels[..., :3] - rgb).max(-1) < 0.02).sum())


def test_draws_every_panel(tmp_path):
  dataset_figure.draw(tmp_path / "a.png", _numbers(), "smax/2s3z/medium")
  pixels = image.imread(tmp_path / "a.png")
  assert pixels.shape[0] >= 1000 and pixels.shape[1] >= 1200
  for colour in ("#0072B2", "#D55E00", "#009E73"):
    assert _close_to(pixels, colour) > 1000
  assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("num_episodes", [1, 2])
def test_few_episodes_all_alike(tmp_path, num_episodes):
  numbers = _numbers(num_episodes)
  numbers.returns[:], numbers.lengths[:] = 0, 7
  numbers.reward_counts, numbers.reward_edges = np.array([3]), np.array([-0.5, 0.5])
  numbers.point_returns[:] = 0
  dataset_figure.draw(tmp_path / "a.png", numbers)
  assert (tmp_path / "a.png").stat().st_size > 10_000
