"""The page on which frames are drawn: two pictures, and a strip of uncertainty."""

from typing import Any

import numpy as np

from logo_jax.watching.episode import Episode, Imagined
from logo_jax.watching.scenes import Scene

_GREY, _FAINT = "#555555", "#CCCCCC"
_STRIP = "step;  u: calibrated uncertainty;  grey lines: the model starts anew"
_TOP = 3.0  # uncertainties above are drawn as high as this one


class Stage:
  """Draws frame after frame on one figure.

  Attributes:
    figure: matplotlib's, with a canvas of its own.
  """

  def __init__(
    self,
    scene: Scene,
    episode: Episode,
    imagined: Imagined | None,
    title: str,
    has_wins: bool,
  ):
    """Puts up the page.

    Args:
      scene: draws a state.
      episode: what is shown on the left.
      imagined: what is shown on the right and below; None: neither is there.
      title: above all.
      has_wins: whether the game is won or lost in the end.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    self._scene, self._episode, self._imagined = scene, episode, imagined
    self._has_wins = has_wins
    size = (4.6, 5.27) if imagined is None else (8.8, 5.95)
    self.figure = Figure(figsize=size, dpi=100, facecolor="white")
    FigureCanvasAgg(self.figure)
    self.figure.text(0.02, 0.975, title, va="top", fontsize=10, color=_GREY)
    wide = imagined is not None
    handles = scene.legend(wide)
    self.figure.legend(
      handles=handles,
      loc="upper right" if wide else "lower center",
      ncols=len(handles),
      frameon=False,
      fontsize=9,
      labelcolor=_GREY,
      handletextpad=0.1,
      columnspacing=1.2,
    )
    if imagined is None:
      self._real = self.figure.add_axes((0.03, 0.075, 0.94, 0.82))
      return
    self._real = self.figure.add_axes((0.02, 0.205, 0.47, 0.69))
    self._model = self.figure.add_axes((0.51, 0.205, 0.47, 0.69))
    self._strip = self.figure.add_axes((0.055, 0.085, 0.925, 0.09))

  def draw(self, frame: int) -> None:
    """Draws one of the T + 1 frames in place of the last one."""
    rows = self._episode.rows
    acts = frame < self._episode.length
    self._real.clear()
    self._scene.draw(
      *(self._real, rows.state[frame], rows.action[frame] if acts else None, None)
    )
    _title(self._real, f"real, step {frame}", self._said(frame))
    if self._imagined is not None:
      self._draw_imagined(frame, self._imagined)
      self._draw_strip(frame, self._imagined)

  def _said(self, frame: int) -> str:
    earned = f"return {self._episode.returns[frame]:.2f}"
    if frame < self._episode.length or not self._episode.over:
      return earned
    end = ("won" if self._episode.won else "lost") if self._has_wins else "over"
    return f"{earned}, {end}"

  def _draw_imagined(self, frame: int, imagined: Imagined) -> None:
    """The real start at first, then what the model says of the same step."""
    rows, axes = self._episode.rows, self._model
    axes.clear()
    if frame == 0:
      self._scene.draw(axes, rows.state[0], None, None)
      _title(axes, "imagined", "starts at step 0")
      return
    self._scene.draw(axes, imagined.state[frame - 1], None, rows.state[frame])
    began = imagined.began[frame - 1]
    ahead = frame - began
    steps = "step" if ahead == 1 else "steps"
    _title(axes, "imagined", f"{ahead} {steps} on from step {began}")
    if not imagined.goes_on[frame - 1]:
      where: dict[str, Any] = {"ha": "center", "va": "bottom", "color": _GREY}
      axes.text(0.5, 0.02, "the model ends here", transform=axes.transAxes, **where)

  def _draw_strip(self, frame: int, imagined: Imagined) -> None:
    """The uncertainty of each step so far; grey lines where rollouts begin."""
    axes, length = self._strip, self._episode.length
    axes.clear()
    u = np.minimum(imagined.uncertainty[:frame], _TOP)
    axes.bar(np.arange(1, frame + 1), u, width=0.9, color=_colours(u))
    axes.axhline(1.0, color=_GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    for began in np.unique(imagined.began):
      axes.axvline(began + 0.5, color=_FAINT, linewidth=0.8, zorder=0)
    axes.set_xlim(0.5, max(length, 1) + 0.5)
    axes.set_ylim(0.0, _TOP)
    axes.set_yticks([0, 1, 2, 3])
    axes.tick_params(labelsize=8, color=_FAINT, labelcolor=_GREY)
    axes.set_ylabel("u", fontsize=9, color=_GREY, rotation=0, labelpad=6)
    axes.set_xlabel(_STRIP, fontsize=8, color=_GREY)
    for side in ("top", "right"):
      axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
      axes.spines[side].set_color(_FAINT)


def _title(axes: Any, name: str, said: str) -> None:
  axes.set_title(name, loc="left", fontsize=11)
  axes.set_title(said, loc="right", fontsize=10, color=_GREY)


def _colours(u: np.ndarray) -> Any:
  from matplotlib import colormaps

  return colormaps["viridis_r"](0.1 + 0.9 * u / _TOP)
