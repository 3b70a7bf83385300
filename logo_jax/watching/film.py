"""Frames as a file: GIF everywhere, MP4 where ffmpeg is installed."""

from collections.abc import Callable
import os
import pathlib
from typing import Any

from logo_jax import files

SUFFIXES = (".gif", ".mp4")


def check(out: str | os.PathLike[str]) -> None:
  """Refuses what cannot be written, before anything is played.

  Raises:
    ValueError: another suffix, or a film without ffmpeg.
  """
  suffix = pathlib.Path(out).suffix.lower()
  if suffix not in SUFFIXES:
    raise ValueError(
      f"out: must end in {' or '.join(SUFFIXES)}; got {os.fspath(out)!r}"
    )
  if suffix == ".mp4":
    from matplotlib.animation import FFMpegWriter

    if not FFMpegWriter.isAvailable():
      raise ValueError(
        f"out: {os.fspath(out)!r} needs ffmpeg, which is not installed; a .gif does not"
      )


def write(
  out: str | os.PathLike[str],
  figure: Any,
  draw: Callable[[int], None],
  num_frames: int,
  fps: int,
) -> None:
  """Writes a film, all of it or nothing.

  Args:
    out: the file to create or replace; its suffix is its format.
    figure: matplotlib's, with a canvas.
    draw: puts the k-th frame on the figure.
    num_frames: how many there are.
    fps: frames per second.

  Raises:
    ValueError: see `check`.
    OSError: it cannot be written.
  """
  check(out)
  from matplotlib.animation import FFMpegWriter, PillowWriter

  suffix = pathlib.Path(out).suffix.lower()
  writer = (FFMpegWriter if suffix == ".mp4" else PillowWriter)(fps=fps)
  with files.replacing(out) as temporary:
    draw(0)  # before the writer is open: without any frame it cannot be closed
    with writer.saving(figure, os.fspath(temporary), figure.dpi):
      for k in range(num_frames):
        if k > 0:
          draw(k)
        writer.grab_frame()
