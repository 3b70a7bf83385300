"""Frames as a file: GIF everywhere, MP4 where there is an ffmpeg."""

from collections.abc import Callable, Iterator
import contextlib
import importlib.util
import os
import pathlib
import shutil
from typing import Any

from logo_jax.io import files

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
  if suffix == ".mp4" and not _ffmpeg():
    raise ValueError(
      f"out: {os.fspath(out)!r} needs ffmpeg, which is not installed (pip install "
      "'logo_jax[film]' brings one); a .gif does not"
    )


def _ffmpeg() -> str | None:
  """The program: the system's, or the one that imageio-ffmpeg brings; None if none."""
  found = shutil.which("ffmpeg")
  if found is None and importlib.util.find_spec("imageio_ffmpeg"):
    import imageio_ffmpeg

    with contextlib.suppress(RuntimeError):  # no binary for this machine
      return imageio_ffmpeg.get_ffmpeg_exe()
  return found


@contextlib.contextmanager
def _writer(suffix: str, fps: int) -> Iterator[Any]:
  from matplotlib import rc_context
  from matplotlib.animation import FFMpegWriter, PillowWriter

  if suffix == ".mp4":
    with rc_context({"animation.ffmpeg_path": _ffmpeg()}):
      yield FFMpegWriter(fps=fps)
  else:
    yield PillowWriter(fps=fps)


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
  suffix = pathlib.Path(out).suffix.lower()
  with files.replacing(out) as temporary, _writer(suffix, fps) as writer:
    draw(0)  # before the writer is open: without any frame it cannot be closed
    with writer.saving(figure, os.fspath(temporary), figure.dpi):
      for k in range(num_frames):
        if k > 0:
          draw(k)
        writer.grab_frame()
