"""What the checkpoints of a run's phases hold."""

from typing import Any

from logo_jax.io import metric_lines
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.training.session import Session


def is_over(session: Session, phase: str) -> bool:
  """Whether a later phase has begun, whose state holds all that this one has done."""
  later = metric_lines.PHASES[metric_lines.PHASES.index(phase) + 1 :]
  return any(has_checkpoint(session, name) for name in later)


def has_checkpoint(session: Session, phase: str) -> bool:
  path = session.folder.checkpoints / phase
  if not path.exists():
    return False
  with Checkpointer(path, read_only=True) as checkpoints:
    return checkpoints.latest_step() is not None


def resume(
  session: Session, checkpoints: Checkpointer, state: Any, phase: str
) -> tuple[Any, int]:
  """The last checkpointed state, or `state` itself, and its step."""
  state, step = checkpoints.restore_sound(state)
  if not is_over(session, phase):
    session.folder.truncate_after(-1 if step is None else step, phase)
  return state, step or 0
