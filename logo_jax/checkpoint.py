"""Checkpoints of a whole training state: the last ones, and the best one apart."""

import logging
import math
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp

_METRIC = "score"


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
    self._manager = _make_manager(path, keep, read_only)

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
      ValueError: `step` lies below the last stored step.
    """
    import orbax.checkpoint as ocp

    latest = self._manager.latest_step()
    if latest is not None and step <= latest:
      if step == latest:
        return False
      raise ValueError(
        f"step: {step} is not allowed; {self._folder} holds step {latest} already"
      )
    score = None if metric is None else float(metric)
    state = jax.tree.map(_as_jax, state)
    return self._manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state), layout=ocp.args.JsonSave(_layout(state))
      ),
      metrics=None if score is None or not math.isfinite(score) else {_METRIC: score},
    )

  def steps(self) -> list[int]:
    """The steps that can be restored, in increasing order."""
    return sorted(self._manager.all_steps())

  def latest_step(self) -> int | None:
    """The last step saved, or None."""
    return self._manager.latest_step()

  def best_step(self) -> int | None:
    """The step saved with the highest metric, or None if none had a metric."""
    return self._manager.best_step()

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
      ValueError: there is no such step, or what is stored differs from `target`; the
        message names the first leaf that does.
    """
    import orbax.checkpoint as ocp

    self._manager.wait_until_finished()
    stored_steps = self.steps()
    step = self.latest_step() if step is None else step
    if step is None or step not in stored_steps:
      have = ", ".join(map(str, stored_steps)) or "none"
      wanted = "the last step" if step is None else f"step {step}"
      raise ValueError(f"{wanted} is not stored in {self._folder}; stored: {have}")
    layout = self._manager.restore(
      step, args=ocp.args.Composite(layout=ocp.args.JsonRestore())
    )["layout"]
    if part:
      prefix = "/".join(part) + "/"
      layout = {
        path.removeprefix(prefix): leaf
        for path, leaf in layout.items()
        if path.startswith(prefix)
      }
    _check_layout(layout, _layout(target), f"{self._folder}/{step}")
    wanted = jax.tree.map(_abstract, target)
    args: Any = ocp.args.StandardRestore(wanted)
    if part:
      for name in reversed(part):
        wanted = {name: wanted}
      args = ocp.args.PyTreeRestore(
        item=wanted,
        restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
        partial_restore=True,
      )
    state = self._manager.restore(step, args=ocp.args.Composite(state=args))["state"]
    for name in part:
      state = state[name]
    return _owned(state)

  def wait(self) -> None:
    """Waits until the saves in the background are complete; raises their errors."""
    self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for the saves in the background and frees the manager."""
    self._manager.wait_until_finished()
    self._manager.close()

  def __enter__(self) -> "Checkpointer":
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()


def _make_manager(path: pathlib.Path, keep: int, read_only: bool) -> Any:
  """The Orbax manager that keeps the last `keep` and the best checkpoint."""
  import orbax.checkpoint as ocp
  from orbax.checkpoint import checkpoint_managers as policies

  _quieten()

  def score(metrics: dict[str, float]) -> float:
    return metrics[_METRIC]

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
    create=not read_only,
    read_only=read_only,
    cleanup_tmp_directories=not read_only,  # left by a process killed while saving
  )
  return ocp.CheckpointManager(path, options=options)


def _quieten() -> None:
  """Drops Orbax's notices, which it sends through absl's logger; errors stay."""
  logger = logging.getLogger("absl")
  if _is_no_notice not in logger.filters:
    logger.addFilter(_is_no_notice)


def _is_no_notice(record: logging.LogRecord) -> bool:
  return record.levelno >= logging.ERROR or "orbax" not in record.pathname


def _as_jax(leaf: Any) -> jax.Array:
  return leaf if isinstance(leaf, jax.Array) else jnp.array(leaf)


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
  """Shape, dtype and sharding of a leaf; the default device where it has none."""
  shape, dtype = jnp.shape(leaf), _dtype(leaf)
  sharding = getattr(leaf, "sharding", None)
  if sharding is None:
    sharding = jnp.zeros(()).sharding
  return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)


def _dtype(leaf: Any) -> Any:
  if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
    return leaf.dtype
  return jnp.result_type(leaf)  # as JAX would store it: int32 for a numpy int64


def _layout(tree: Any) -> dict[str, str]:
  """Path to dtype and shape of each leaf, for example `key` to `key<fry>[4]`."""
  leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
  return {
    jax.tree_util.keystr(path, simple=True, separator="/") or "(root)": (
      f"{_dtype(leaf)}[{','.join(map(str, jnp.shape(leaf)))}]"
    )
    for path, leaf in leaves
  }


def _check_layout(stored: dict[str, str], wanted: dict[str, str], where: str) -> None:
  for path in wanted | stored:
    have, want = stored.get(path, "nothing"), wanted.get(path, "nothing")
    if have != want:
      raise ValueError(f"{path}: checkpoint {where} holds {have}, expected {want}")


def _owned(state: Any) -> Any:
  """Copies each array on its device, one after the other.

  The loader's arrays may share the host memory that it read into; an array in such
  memory must not be donated.
  """
  leaves, structure = jax.tree.flatten(state)
  del state
  for i, leaf in enumerate(leaves):
    leaves[i] = leaf.copy()
    del leaf
  return jax.tree.unflatten(structure, leaves)
