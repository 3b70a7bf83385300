"""A learner that begins where the one of another run has come to."""

import os

import jax
from jax.sharding import Mesh

from logo_jax.configs.config import ExperimentConfig
from logo_jax.io.checkpoint import Checkpointer
from logo_jax.io.run_folder import RunFolder
from logo_jax.training import parallel
from logo_jax.training.session import Session, seed_keys
from logo_jax.training.step import TrainState
from logo_jax.types import Learner, Params


def weights(
  run_dir: str | os.PathLike[str],
  config: ExperimentConfig,
  learner: Learner,
  mesh: Mesh,
) -> tuple[Params, Params]:
  """Parameters and target networks of the last checkpoint of a run, of all its seeds.

  Args:
    run_dir: folder of the run; it is only read.
    config: of the run that begins with them.
    learner: its learner, whose parameters have to be of the same shapes.
    mesh: where they shall lie.

  Raises:
    ValueError: there is no checkpoint, or it has other shapes.
  """
  keys = seed_keys(config, "model")
  shapes = parallel.by_seed(jax.eval_shape(jax.vmap(learner.init), keys), mesh)
  path = RunFolder(run_dir).checkpoints / "train"
  try:
    with Checkpointer(path, read_only=True) as checkpoints:
      part = ("learner", "params")
      params, step = checkpoints.restore_sound(shapes.params, part=part)
      if step is None:
        raise ValueError(f"{path} holds no checkpoint yet")
      target = shapes.target
      if jax.tree.leaves(target):
        target = checkpoints.restore(target, step, ("learner", "target"))
  except ValueError as error:
    raise ValueError(f"init_from: {error}") from None
  return params, target


def with_weights(session: Session, state: TrainState) -> TrainState:
  """A first state with the weights of `config.init_from`, if that is set.

  Optimizers and the count of updates begin anew.

  Args:
    session: the experiment.
    state: its first, with a leading axis of seeds.
  """
  config = session.config
  if not config.init_from:
    return state
  learner = session.system.learner
  params, target = weights(config.init_from, config, learner, session.mesh)
  return state._replace(learner=state.learner._replace(params=params, target=target))
