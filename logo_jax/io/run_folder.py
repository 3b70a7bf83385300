"""The folder that holds everything a run writes.

config.json     what the run was started with; a resumed run must match it, but for
                `loggers`
metrics.jsonl   one JSON object per line: phase, step, time, then the metrics; those of
                several seeds are means, and "by_seed" has each seed's
dataset.json    what playing needs of the dataset: its card, and statistics
results.json    the final results; its presence marks the run as finished
events/         the metrics for TensorBoard, a subfolder per phase
wandb.json      the run of Weights & Biases, if there is one; its files are in wandb/
checkpoints/    states to resume from
figures/        plots
plugins.json    modules of others that it was started with, if any; see `plugins`
"""

from collections.abc import Callable
import contextlib
import fcntl
import json
import math
import os
import pathlib
import time
from typing import Any

import numpy as np

from logo_jax.checks import reading
from logo_jax.io import files, loggers, metric_lines, nested, plugins

PHASES = metric_lines.PHASES
_FREE = ("loggers",)  # of a config; may differ in a resumed run


class Differs(ValueError):
  """A folder holds a run of another configuration."""


class RunFolder:
  """A run's folder, locked for as long as this object or its process lives.

  Make one with `RunFolder.open`; use as a context manager, or call `close`.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Names the paths of a run; reads and writes nothing, takes no lock.

    Args:
      path: the run's folder.
    """
    self.path = pathlib.Path(path).absolute()
    self.config_path = self.path / "config.json"
    self.metrics_path = self.path / "metrics.jsonl"
    self.dataset_path = self.path / "dataset.json"
    self.results_path = self.path / "results.json"
    self.events = self.path / "events"
    self.checkpoints = self.path / "checkpoints"
    self.figures = self.path / "figures"
    self._lock: int | None = None
    self._loggers: list[loggers.Logger] = []

  @classmethod
  def open(
    cls,
    path: str | os.PathLike[str],
    config: dict[str, Any],
    also: str = "tensorboard",
  ) -> "RunFolder":
    """Makes the folder of a new run, or takes up that of an earlier one.

    Nothing is written when the folder is refused.

    Args:
      path: the run's folder; made if missing.
      config: what the run is started with, of values that JSON can hold.
      also: where metrics go besides metrics.jsonl, as `loggers.names` takes it.

    Returns:
      The folder, locked against a second run.

    Raises:
      OSError: the folder cannot be written to.
      FileExistsError: another run holds it, or it holds a run without a config.
      ValueError: the run was started with another `config`, JSON cannot hold it, a
        file of the run is damaged, or `also` is not allowed.
      ImportError: what one of `also` needs is not installed.
    """
    loggers.check(also)
    run = cls(path)
    config = _checked_config(config)
    run._check_config(config)
    run._check_writable()
    run._take_lock()
    try:
      run._check_config(config)  # another run may have been quicker
      if not run.config_path.exists():
        files.write_json(run.config_path, config)
      plugins.remember(run.path)
      run.figures.mkdir(exist_ok=True)
      run._rewrite_metrics(lambda row: True)
      if not run.finished():
        run._loggers = loggers.make(also, run.path, config)
    except BaseException:
      run.close()
      raise
    return run

  @classmethod
  def check(cls, path: str | os.PathLike[str], config: dict[str, Any]) -> None:
    """Raises what `open` would, and leaves nothing behind.

    Args:
      path: the run's folder.
      config: may lack keys that are not known yet, or have None for what is to be
        filled in; those are not compared.
    """
    run = cls(path)
    stored = run._stored_config()
    run._check_config(nested.filled(_checked_config(config), stored or {}))
    missing = [p for p in (run.path, *run.path.parents) if not p.exists()]
    run._check_writable()
    run._take_lock()
    if missing:
      (run.path / ".lock").unlink(missing_ok=True)
    run.close()
    with contextlib.suppress(OSError):  # another run may have begun in one of them
      for folder in missing:
        folder.rmdir()

  def finished(self) -> bool:
    """Whether the run has written its results."""
    return self.results_path.exists()

  def write_results(self, results: dict[str, Any]) -> None:
    """Writes the results and so marks the run as finished; NaN becomes null."""
    files.write_json(self.results_path, results)

  def log(self, step: int, metrics: dict[str, Any], phase: str = "train") -> None:
    """Appends metrics, on disk when this returns.

    Log before saving the checkpoint of the same step: `truncate_after` keeps the lines
    of the step that is resumed from, and drops later ones.

    Args:
      step: how many steps of the phase are done.
      metrics: name to number, or to one for each seed; NaN and infinities become null
        (other loggers: nothing). Of several seeds other loggers also have the least and
        the greatest, under `<name>_min` and `<name>_max`.
      phase: one of `PHASES`.

    Raises:
      OSError: the file cannot be written.
      ValueError: an unknown phase, or a metric named like a column of ours.
    """
    _phase_index(phase)
    for name in metric_lines.COLUMNS:
      if name in metrics:
        raise ValueError(f"metric {name!r} is not allowed; it names a column already")
    now = time.time()
    values = {name: float(np.mean(value)) for name, value in metrics.items()}
    row = {"phase": phase, "step": int(step), "time": round(now, 3)} | values
    by_seed = {name: value for name, value in metrics.items() if np.size(value) > 1}
    if by_seed:
      row["by_seed"] = by_seed
    line = json.dumps(files.plain(row), allow_nan=False)
    for name, value in by_seed.items():
      values |= {f"{name}_min": float(np.min(value))}
      values |= {f"{name}_max": float(np.max(value))}
    with files.writing(self.metrics_path):
      with self.metrics_path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    for logger in self._loggers:
      logger.write(phase, int(step), now, finite)

  def truncate_after(self, step: int, phase: str = "train") -> None:
    """Forgets what was logged after a step, before resuming from it.

    Lines of later phases go too, and so does a line that a killed process left torn.
    Step -1 of the first phase, where no checkpoint was found, forgets everything.

    Args:
      step: the step of the checkpoint that was restored.
      phase: the phase that it belongs to, one of `PHASES`.

    Raises:
      ValueError: an unknown phase.
    """
    last = (_phase_index(phase), step)
    self._rewrite_metrics(lambda row: (_phase_index(row["phase"]), row["step"]) <= last)
    first = {phase: step + 1} | dict.fromkeys(PHASES[last[0] + 1 :], 0)
    for logger in self._loggers:
      logger.forget(first)

  def close(self) -> None:
    """Closes the loggers and gives up the lock."""
    for logger in self._loggers:
      logger.close()
    self._loggers = []
    if self._lock is not None:
      os.close(self._lock)
      self._lock = None

  def __enter__(self) -> "RunFolder":
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()

  def _check_config(self, config: dict[str, Any]) -> None:
    """Refuses a folder that holds a run with another config, or without one."""
    if not self.config_path.exists():
      for path in (self.metrics_path, self.results_path, self.checkpoints):
        if path.exists():
          raise FileExistsError(
            f"run folder: {self.path} holds {path.name} but no config.json; "
            "choose another folder"
          )
      return
    if self.metrics_path.exists():  # what is damaged is told before anything changes
      for _ in metric_lines.read(self.metrics_path):
        pass
    stored = self._stored_config() or {}
    difference = nested.first_difference(_bound(stored), _bound(config))
    if difference is not None:
      key, was, given = difference
      raise Differs(
        f"{key}: {given} differs from {was} in {self.config_path}; "
        "give the stored value or choose another folder"
      )

  def _stored_config(self) -> dict[str, Any] | None:
    if not self.config_path.exists():
      return None
    return reading.json_file(self.config_path)

  def _check_writable(self) -> None:
    """Creates the folder and a file in it: permission bits do not tell root."""
    try:
      self.path.mkdir(parents=True, exist_ok=True)
      probe = self.path / f".probe-{os.getpid()}"
      probe.touch()
      probe.unlink()
    except OSError as error:
      reason = error.strerror or str(error)
      raise OSError(
        f"run folder: {self.path} cannot be written to ({reason}); choose another"
      ) from error

  def _take_lock(self) -> None:
    """Locks the folder; the kernel frees the lock however the process ends."""
    lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
      os.close(lock)
      raise FileExistsError(
        f"run folder: {self.path} is in use by process {owner}; choose another folder"
      ) from error
    except OSError as error:
      os.close(lock)
      raise OSError(
        f"run folder: {self.path} cannot be locked ({error.strerror}); choose another"
      ) from error
    self._lock = lock
    with files.writing(self.path / ".lock"):
      os.ftruncate(lock, 0)
      os.write(lock, f"{os.getpid()}\n".encode())

  def _rewrite_metrics(self, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Keeps the whole lines that `keep` accepts; leaves the file if that is all."""
    if not self.metrics_path.exists():
      return
    rows = metric_lines.read(self.metrics_path)
    kept = b"".join(line for line, row in rows if keep(row))
    if kept != self.metrics_path.read_bytes():
      with files.replacing(self.metrics_path) as temporary:
        temporary.write_bytes(kept)


def _phase_index(phase: str) -> int:
  if phase not in PHASES:
    raise ValueError(f"phase: {phase!r} is not allowed; use {' or '.join(PHASES)}")
  return PHASES.index(phase)


def _bound(config: dict[str, Any]) -> dict[str, Any]:
  """What a resumed run must have as it was."""
  return {key: value for key, value in config.items() if key not in _FREE}


def _checked_config(config: dict[str, Any]) -> dict[str, Any]:
  """The config as it will be read back; refuses what JSON would change."""
  for key, value in nested.flatten(config).items():
    if isinstance(value, float) and files.plain(value) is None:
      raise ValueError(
        f"{key}: {value} is not allowed in a config; use a finite number"
      )
  return files.plain(config)
