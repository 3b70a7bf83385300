"""Where metrics go besides a run's metrics.jsonl: TensorBoard, Weights & Biases.

metrics.jsonl is always written, since resuming, results and figures read it.
"""

from collections.abc import Mapping
import contextlib
import importlib
import os
import pathlib
import secrets
from typing import Any, NamedTuple, Protocol

from logo_jax.checks import reading, schema
from logo_jax.io import files

NAMES = ("tensorboard", "wandb")


class Logger(Protocol):
  """What gets a run's metrics."""

  def write(self, phase: str, step: int, now: float, values: dict[str, float]) -> None:
    """Takes finite values after a step of a phase; `now` is in seconds of the epoch."""
    ...

  def forget(self, first: Mapping[str, int]) -> None:
    """The run goes on from a checkpoint: steps of a phase from `first` on come anew."""
    ...

  def close(self) -> None:
    """Writes what has not been written yet."""
    ...


def names(loggers: str) -> tuple[str, ...]:
  """Those that are named, with commas between them; none in an empty text.

  Raises:
    ValueError: one is unknown, or there twice.
  """
  chosen = tuple(loggers.split(",")) if loggers else ()
  for name in chosen:
    if name not in NAMES or chosen.count(name) > 1:
      raise ValueError(
        f"loggers: must be of {' and '.join(NAMES)}, each at most once, with commas "
        f"between; got {loggers!r}"
      )
  return chosen


def check(loggers: str) -> None:
  """Refuses what `make` would, but for what only a server can tell.

  Raises:
    ValueError: see `names`.
    ImportError: what one needs is not installed.
  """
  if "wandb" in names(loggers):
    _wandb()


def make(loggers: str, folder: pathlib.Path, config: dict[str, Any]) -> list[Logger]:
  """Those that are named.

  Args:
    loggers: as `names` takes it.
    folder: of the run, which exists; theirs are below it.
    config: what the run was started with.

  Raises:
    ValueError: see `names`, or W&B refuses to begin.
    ImportError: what one needs is not installed.
  """
  makers = {
    "tensorboard": lambda: TensorBoard(folder / "events"),
    "wandb": lambda: WandB(folder, config),
  }
  return [makers[name]() for name in names(loggers)]


class TensorBoard:
  """Event files, a subfolder for each phase."""

  def __init__(self, folder: pathlib.Path):
    """Writes nothing yet.

    Args:
      folder: of the event files.
    """
    self._folder = folder
    self._writers: dict[str, Any] = {}
    self._purge: dict[str, int] = {}

  def write(self, phase: str, step: int, now: float, values: dict[str, float]) -> None:
    """On disk when this returns.

    Raises:
      OSError: it cannot be written.
    """
    with files.writing(self._folder / phase):
      writer = self._writer(phase)
      for name, value in values.items():
        writer.add_scalar(name, value, step, walltime=now)
      writer.flush()

  def forget(self, first: Mapping[str, int]) -> None:
    """Has TensorBoard hide earlier events of those steps."""
    self.close()
    self._purge = dict(first)

  def close(self) -> None:
    """Closes the files; more may be written after it."""
    for writer in self._writers.values():
      with contextlib.suppress(OSError):  # `write` has raised it
        writer.close()
    self._writers.clear()

  def _writer(self, phase: str) -> Any:
    """The phase's writer, made when it is first needed."""
    if phase not in self._writers:
      from tensorboardX import SummaryWriter

      self._writers[phase] = SummaryWriter(
        str(self._folder / phase), purge_step=self._purge.get(phase)
      )
    return self._writers[phase]


class Sent(NamedTuple):
  """What a run of W&B has got, as wandb.json says."""

  id: str  # the run's own
  rows: int
  last: dict[str, int]  # step of each phase


class WandB:
  """A run of Weights & Biases, which processes that resume ours go on with.

  Metrics are named `<phase>/<name>`, over the phase's own steps. What W&B has got it
  keeps: steps that are done again after a kill, with the same values, are not sent
  again; wandb.json in the run's folder says how far it has come.

  Environment variables of W&B count: WANDB_MODE (offline), WANDB_PROJECT, WANDB_NAME.
  """

  def __init__(self, folder: pathlib.Path, config: dict[str, Any]):
    """Begins the run, or goes on with it.

    Args:
      folder: of our run, whose name it has, too.
      config: what our run was started with.

    Raises:
      ValueError: W&B refuses, or wandb.json is damaged.
      ImportError: wandb is not installed.
    """
    wandb = _wandb()
    self._path = folder / "wandb.json"
    self._sent = Sent(secrets.token_hex(4), 0, {})
    if self._path.exists():
      self._sent = schema.build(Sent, reading.json_file(self._path), f"{self._path}: ")
    files.write_json(self._path, self._sent._asdict())
    try:
      self._run = wandb.init(
        id=self._sent.id,
        resume="allow",
        project=os.environ.get("WANDB_PROJECT") or "logo_jax",
        name=os.environ.get("WANDB_NAME") or folder.name,
        dir=str(folder),
        config=config,
        settings=wandb.Settings(console="off"),
      )
    except wandb.Error as error:
      raise ValueError(
        f"loggers: wandb does not begin: {error} WANDB_MODE=offline needs no server"
      ) from error
    self._phases: set[str] = set()

  def write(self, phase: str, step: int, now: float, values: dict[str, float]) -> None:
    """Sends what has not been sent before; W&B has its own time."""
    row = self._sent.rows
    if step <= self._sent.last.get(phase, -1):
      return
    if phase not in self._phases:
      self._run.define_metric(f"{phase}/*", step_metric=f"{phase}/step")
      self._phases.add(phase)
    self._sent = Sent(self._sent.id, row + 1, self._sent.last | {phase: step})
    # First, so that a row is rather lost than there twice.
    files.write_json(self._path, self._sent._asdict())
    named = {f"{phase}/{name}": value for name, value in values.items()}
    self._run.log({f"{phase}/step": step} | named, step=row)

  def forget(self, first: Mapping[str, int]) -> None:
    """Nothing: W&B keeps what it has."""

  def close(self) -> None:
    """Waits until all has been sent."""
    self._run.finish()


def _wandb() -> Any:
  """The package.

  Raises:
    ImportError: it is not installed.
  """
  try:
    wandb = importlib.import_module("wandb")
  except ModuleNotFoundError as error:
    if error.name != "wandb":
      raise
    wandb = None
  # W&B makes folders of that name, which Python takes for a package where it has none.
  if not hasattr(wandb, "init"):
    raise ImportError("loggers: wandb needs wandb: pip install 'logo_jax[wandb]'")
  return wandb
