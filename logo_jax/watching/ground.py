"""The empty square that states are drawn on."""

from typing import Any

import numpy as np


def lay(axes: Any, middle: np.ndarray, half: float) -> None:
  """Makes axes show a square, and nothing else.

  Args:
    axes: matplotlib's.
    middle: [2], in the units of what is drawn.
    half: half the square's width.
  """
  axes.set_xlim(middle[0] - half, middle[0] + half)
  axes.set_ylim(middle[1] - half, middle[1] + half)
  axes.set_aspect("equal")
  axes.set_xticks([])
  axes.set_yticks([])
  axes.set_facecolor("#F7F7F5")
  for spine in axes.spines.values():
    spine.set_color("#CCCCCC")
