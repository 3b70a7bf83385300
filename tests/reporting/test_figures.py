"""Learning curves: a PNG that shows every curve, or nothing."""

from matplotlib import image
import numpy as np
import pytest

from logo_jax.reporting import figures


def close_to(pixels: np.ndarray, colour: str) -> int:
  """How many pixels have a colour, up to rounding."""
  rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
  return int((np.abs(pixels[..., :3] - rgb).max(-1) < 0.02).sum())


def test_draws_each_curve_and_the_reference(tmp_path):
  path = tmp_path / "curves.png"
  steps = np.arange(0, 5000, 500)
  figures.learning_curves(
    path,
    {
      "logo": (steps, np.sqrt(steps), np.full(steps.shape, 3.0)),
      "bc": (steps.tolist(), [5.0] * len(steps), None),
    },
    reference=("dataset mean", 20.0),
    title="smax/2s3z",
  )
  pixels = image.imread(path)
  assert pixels.shape[0] >= 600 and pixels.shape[1] >= 900
  for colour in ("#0072B2", "#D55E00", "#555555"):
    assert close_to(pixels, colour) > 200
  assert close_to(pixels, "#009E73") == 0  # the colour of a third curve
  assert close_to(pixels, "#D9EAF3") > 1000  # the band: 15% of the first colour
  assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]


def test_one_point_of_one_run(tmp_path):
  figures.learning_curves(tmp_path / "a.png", {"logo": ([0], [3.0], [np.nan])})
  assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(
  ("curves", "message"),
  [
    ({}, "curves: none are given"),
    ({"logo": ([0, 1], [1.0], None)}, r"curve 'logo': lengths \[2, 1\]"),
  ],
)
def test_refuses_and_writes_nothing(tmp_path, curves, message):
  with pytest.raises(ValueError, match=message):
    figures.learning_curves(tmp_path / "a.png", curves)
  assert not list(tmp_path.iterdir())
