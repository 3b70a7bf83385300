"""One figure that shows what a dataset holds."""

import os
from typing import Any, Protocol

import numpy as np

from logo_jax.io import files
from logo_jax.reporting.figures import plain

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#555555"


class Bands(Protocol):
  """The range of each feature, `[F]` each."""

  @property
  def least(self) -> np.ndarray: ...
  @property
  def low(self) -> np.ndarray: ...
  @property
  def high(self) -> np.ndarray: ...
  @property
  def greatest(self) -> np.ndarray: ...


class Numbers(Protocol):
  """What the figure shows; `data.inspect.summarise` gives it."""

  @property
  def returns(self) -> np.ndarray: ...
  @property
  def lengths(self) -> np.ndarray: ...
  @property
  def obs(self) -> Bands: ...
  @property
  def state(self) -> Bands: ...
  @property
  def points(self) -> np.ndarray: ...
  @property
  def explained(self) -> np.ndarray: ...
  @property
  def point_returns(self) -> np.ndarray: ...
  @property
  def reward_counts(self) -> np.ndarray: ...
  @property
  def reward_edges(self) -> np.ndarray: ...


def draw(path: str | os.PathLike[str], numbers: Numbers, title: str = "") -> None:
  """Draws returns, lengths, rewards, the cover of states and the ranges of features.

  Args:
    path: the PNG to write, all of it or nothing.
    numbers: what to show.
    title: above everything; empty for none.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  # A figure of its own canvas: pyplot would keep state and pick a backend.
  figure = Figure(figsize=(10.5, 9.0), dpi=130, layout="constrained")
  canvas = FigureCanvasAgg(figure)
  axes = figure.subplot_mosaic(
    [
      ["returns", "lengths", "rewards"],
      ["cover", "cover", "cover"],
      ["obs", "obs", "obs"],
      ["state", "state", "state"],
    ],
    height_ratios=[1.0, 1.5, 0.8, 0.8],
  )
  _histogram(axes["returns"], numbers.returns, "episode return", _BLUE)
  _histogram(axes["lengths"], numbers.lengths, "episode length, steps", _ORANGE)
  _rewards(axes["rewards"], numbers.reward_counts, numbers.reward_edges)
  _cover(figure, axes["cover"], numbers)
  _ranges(axes["obs"], numbers.obs, "observation")
  _ranges(axes["state"], numbers.state, "state")
  if title:
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
  with files.replacing(path) as temporary:
    canvas.print_png(os.fspath(temporary))


def _histogram(axes: Any, values: np.ndarray, label: str, colour: str) -> None:
  bins = min(40, max(5, len(values) // 5))
  if np.issubdtype(values.dtype, np.integer):  # bins of equally many whole numbers
    width = -(-int(np.ptp(values) + 1) // bins)
    bins = np.arange(values.min(), values.max() + width + 1, width) - 0.5
  axes.hist(values, bins=bins, color=colour)
  axes.axvline(values.mean(), color=_GREY, linestyle=(0, (4, 3)), linewidth=1.2)
  _dress(axes, label, "episodes")


def _rewards(axes: Any, counts: np.ndarray, edges: np.ndarray) -> None:
  axes.stairs(counts, edges, fill=True, color="#009E73")
  axes.set_yscale("symlog", linthresh=1)  # rare rewards count, too
  axes.set_ylim(bottom=0)
  _dress(axes, "reward of a step", "transitions")


def _cover(figure: Any, axes: Any, numbers: Numbers) -> None:
  x, y = np.asarray(numbers.points).T
  drawn = axes.scatter(
    x, y, c=numbers.point_returns, s=5, cmap="cividis", linewidths=0, rasterized=True
  )
  figure.colorbar(drawn, ax=axes, label="return of the episode", pad=0.01)
  first, second = (f"{100 * share:.0f}%" for share in numbers.explained)
  _dress(
    axes,
    f"states: first principal component, {first} of the variance",
    f"second, {second}",
  )


def _ranges(axes: Any, bands: Bands, label: str) -> None:
  """All values in light, the middle 90% in full colour."""
  place = np.arange(len(bands.least))
  # Ranges differ by orders of magnitude; steps keep each feature's own width.
  edges = np.append(place, len(place)) - 0.5
  axes.stairs(
    bands.greatest, edges, baseline=bands.least, fill=True, color=_BLUE, alpha=0.25
  )
  axes.stairs(bands.high, edges, baseline=bands.low, fill=True, color=_BLUE)
  largest = max(np.abs(bands.least).max(), np.abs(bands.greatest).max())
  if largest > 20:
    axes.set_yscale("symlog", linthresh=1)
  axes.set_xlim(-0.5, len(place) - 0.5)
  _dress(axes, f"{label}: feature (light: all values, dark: the middle 90%)", "value")


def _dress(axes: Any, xlabel: str, ylabel: str) -> None:
  axes.set_xlabel(xlabel)
  axes.set_ylabel(ylabel)
  plain(axes)
