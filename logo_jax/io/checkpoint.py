"""Checkpoints of a whole training state: the last ones, and the best one apart."""

from collections.abc import Iterator
import contextlib
import math
import os
import pathlib
from typing import Any

import jax
from jax.experimental import multihost_utils

from logo_jax.io import checkpoint_files, state_layout
from logo_jax.io.checkpoint_files import METRIC, Damaged
from logo_jax.io.logging import say


class Checkpointer:
  """Saves and restores a pytree of arrays in a folder, one subfolder per step.

  A save is atomic: a process killed in the middle of one leaves every earlier
  checkpoint as it was. Saving runs in the background; the state may be donated as soon
  as `save` has returned. One process at a time may write to a folder.

  Use as a context manager, or call `close`, so that the last save is complete.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    keep: int = 2,
    read_only: bool = False,
  ):
    """Opens a folder of checkpoints.

    Args:
      folder: where the checkpoints lie; made if missing, unless `read_only`.
      keep: how many of the last checkpoints stay; the best one stays as well.
      read_only: never write, for evaluation beside a run that is still going on.

    Raises:
      ValueError: `keep` is below 1, or a `read_only` folder does not exist.
    """
    if keep < 1:
      raise ValueError(f"keep: {keep} is not allowed; it must be at least 1")
    path = pathlib.Path(folder).absolute()
    if read_only and not path.is_dir():
      raise ValueError(f"checkpoint folder: {path} does not exist")
    self._folder = path
    self._saving = -1  # the step of the save in the background
    if not read_only and jax.process_index() == 0:  # all of them open it together
      checkpoint_files.drop_damaged_scores(path)
    self._manager = None if read_only else _make_manager(path, keep)

  def save(self, step: int, state: Any, metric: float | None = None) -> bool:
    """Saves `state` in the background.

    Args:
      step: above every step that is stored; saving the last stored step again does
        nothing, so that a loop that stops right after a save may save on its way out.
      state: a pytree of arrays; leaves of other types are stored as arrays.
      metric: the higher the better; None or NaN is no candidate for the best. Of equal
        metrics the later is best.

    Returns:
      Whether the step was saved (False: it was stored already).

    Raises:
      OSError: it cannot be written, or the save before it could not.
      ValueError: `step` lies below the last stored step.
    """
    import orbax.checkpoint as ocp

    assert self._manager is not None, "opened to read only"
    latest = self.latest_step()
    if latest is not None and step <= latest:
      if step == latest:
        return False
      raise ValueError(
        f"step: {step} is not allowed; {self._folder} holds step {latest} already"
      )
    score = None if metric is None else float(metric)
    state = jax.tree.map(state_layout.as_jax, state)
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(state),
      layout=ocp.args.JsonSave(state_layout.layout(state)),
    )
    metrics = {METRIC: score} if score is not None and math.isfinite(score) else None
    self.wait()  # so that an error is that of the step it names
    self._saving = step
    with self._writing():
      if latest is not None and jax.process_index() == 0:
        checkpoint_files.check_space(self._folder / str(latest))
      return self._manager.save(step, args=args, metrics=metrics)

  def steps(self) -> list[int]:
    """The steps that can be restored, in increasing order."""
    if self._manager is None:
      return checkpoint_files.steps(self._folder)
    return sorted(self._manager.all_steps())

  def latest_step(self) -> int | None:
    """The last step saved, or None."""
    return max(self.steps(), default=None)

  def best_step(self) -> int | None:
    """The step saved with the highest metric, or None if none had a metric."""
    return checkpoint_files.best(self._folder, self.steps())

  def restore(
    self, target: Any, step: int | None = None, part: tuple[str, ...] = ()
  ) -> Any:
    """Restores a state, bit for bit.

    Args:
      target: a pytree of arrays or of `jax.ShapeDtypeStruct` (`jax.eval_shape`) that
        gives structure, shapes, dtypes and shardings; a leaf without a sharding goes to
        the default device.
      step: the step to restore; None takes the last.
      part: names of the branches that lead to `target` in the state that was saved; ()
        is all of it. Nothing else is read.

    Returns:
      The state, in arrays that JAX owns, so that they may be donated.

    Raises:
      Damaged: a file of the step is missing, cut short or garbage.
      ValueError: there is no such step, or what is stored differs from `target`; the
        message names the first leaf that does.
    """
    import orbax.checkpoint as ocp

    self.wait()
    stored_steps = self.steps()
    step = self.latest_step() if step is None else step
    if step is None or step not in stored_steps:
      have = ", ".join(map(str, stored_steps)) or "none"
      wanted = "the last step" if step is None else f"step {step}"
      raise ValueError(f"{wanted} is not stored in {self._folder}; stored: {have}")
    folder = self._folder / str(step)
    layout = checkpoint_files.read_through(folder, part)
    if part:
      prefix = "/".join(part) + "/"
      layout = {
        path.removeprefix(prefix): leaf
        for path, leaf in layout.items()
        if path.startswith(prefix)
      }
    state_layout.check_layout(layout, state_layout.layout(target), str(folder))
    checkpoint_files.quieten()
    wanted = jax.tree.map(state_layout.abstract, target)
    if not part:
      with ocp.StandardCheckpointer() as loader:
        return state_layout.owned(loader.restore(folder / "state", wanted))
    for name in reversed(part):
      wanted = {name: wanted}
    args = ocp.args.PyTreeRestore(
      item=wanted,
      restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
      partial_restore=True,
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as loader:
      state = loader.restore(folder / "state", args=args)
    for name in part:
      state = state[name]
    return state_layout.owned(state)

  def restore_sound(
    self, target: Any, step: int | None = None, part: tuple[str, ...] = ()
  ) -> tuple[Any, int | None]:
    """Restores the last checkpoint that is not damaged, saying which ones are.

    Unless `read_only`, damaged ones are moved out of the way, to a folder beside.

    Args:
      target: see `restore`.
      step: the last that will do; None is the last stored.
      part: see `restore`.

    Returns:
      The state and its step; `target` and None if nothing is stored.

    Raises:
      Damaged: all of them are.
      ValueError: see `restore`.
    """
    steps = [k for k in self.steps() if step is None or k <= step]
    if not steps:
      return target, None
    damaged, why = [], ""
    for found in reversed(steps):
      try:
        state = self.restore(target, found, part)
      except Damaged as error:
        why = why or str(error)
        damaged.append(found)
        continue
      if damaged:
        say(f"{why}; going back to the checkpoint of step {found}")
        if self._manager is not None:
          if jax.process_index() == 0:
            checkpoint_files.set_aside(self._folder, damaged)
          multihost_utils.sync_global_devices(f"{self._folder} set aside")
          self._manager.reload()
      return state, found
    raise Damaged(f"{why}; no earlier checkpoint is whole")

  def wait(self) -> None:
    """Waits until the saves in the background are complete; raises their errors."""
    if self._manager is not None:
      with self._writing():
        self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for the saves in the background and frees the manager."""
    try:
      self.wait()
    finally:
      if self._manager is not None:
        with contextlib.suppress(Exception):  # it would tell once more what failed
          self._manager.close()

  def __enter__(self) -> "Checkpointer":
    return self

  def __exit__(self, error: object, *unused: object) -> None:
    if error is None:
      self.close()
      return
    with contextlib.suppress(Exception):  # the error that is on its way says more
      self.close()

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Turns whatever the loader's depths raise into one line."""
    try:
      yield
    except Exception as error:
      raise OSError(
        f"{self._folder}: the checkpoint of step {self._saving} cannot be written: "
        f"{checkpoint_files.reason(error)}"
      ) from None


def _make_manager(path: pathlib.Path, keep: int) -> Any:
  """The Orbax manager that keeps the last `keep` and the best checkpoint."""
  import orbax.checkpoint as ocp
  from orbax.checkpoint import checkpoint_managers as policies

  checkpoint_files.quieten()

  def score(metrics: dict[str, float]) -> float:
    return metrics[METRIC]

  options = ocp.CheckpointManagerOptions(
    best_fn=score,
    preservation_policy=policies.AnyPreservationPolicy(
      [
        policies.LatestN(keep),
        policies.BestN(
          get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False
        ),
      ]
    ),
    cleanup_tmp_directories=True,  # left by a process killed while saving
  )
  return ocp.CheckpointManager(path, options=options)
