"""Imagined episodes that end as the environment's do."""

from collections.abc import Callable

import jax
import numpy as np

from logo_jax.envs import base
from logo_jax.types import EnvSpec, WorldModel


def are_known(model: WorldModel, spec: EnvSpec) -> bool:
  """Whether the environment has a rule for its ends, and the model states for it."""
  rule = base.termination_rule(spec.name)
  if rule is None or not model.predicts_state:
    return False
  try:
    jax.eval_shape(rule, jax.ShapeDtypeStruct((spec.state_dim,), np.float32))
  except ValueError:  # data of that name, but with other states
    return False
  return True


def with_rule(model: WorldModel, spec: EnvSpec) -> WorldModel:
  """The model, whose imagined episodes end by the environment's rule.

  Raises:
    ValueError: there is none, or it is of other states.
  """
  rule = base.termination_rule(spec.name)
  if rule is None:
    raise ValueError(
      f"termination: 'known' needs an environment that says when its episodes end; "
      f"{spec.name!r} does not, allowed is 'learned'"
    )
  try:
    jax.eval_shape(rule, jax.ShapeDtypeStruct((spec.state_dim,), np.float32))
  except ValueError as error:
    raise ValueError(f"termination: 'known' does not fit the data: {error}") from None

  def ending(step: Callable) -> Callable:
    def stepped(params, latent, action, key):
      latent, prediction = step(params, latent, action, key)
      ended = rule(prediction.state).astype(prediction.discount.dtype)
      return latent, prediction._replace(discount=1.0 - ended)

    return stepped

  draw = None if model.draw is None else ending(model.draw)
  return model._replace(step=ending(model.step), draw=draw)
