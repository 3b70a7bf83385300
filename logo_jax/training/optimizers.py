"""Optimizers, and the averaging of gradients over the devices of one run."""

import jax
import optax
from optax import contrib


def average_over_devices(axis_name: str | None) -> optax.GradientTransformation:
  """Means gradients over a mapped axis; the identity without one.

  Every loss is a mean over its shard and the shards are of one size, so the mean of
  the shards' gradients is the gradient of the global mean.
  """
  if axis_name is None:
    return optax.identity()
  return optax.stateless(lambda grads, _: jax.lax.pmean(grads, axis_name))


def of_each(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
  """One for each entry of the leading axis of all parameters."""
  return optax.GradientTransformation(
    jax.vmap(optimizer.init), jax.vmap(optimizer.update)
  )


def adam(
  learning_rate: optax.ScalarOrSchedule,
  axis_name: str | None = None,
  clip_norm: float = 10.0,
) -> optax.GradientTransformation:
  """Adam on averaged gradients, clipped by their global norm."""
  return optax.chain(
    average_over_devices(axis_name),
    optax.clip_by_global_norm(clip_norm),
    optax.adam(learning_rate),
  )


def muon(
  learning_rate: optax.ScalarOrSchedule,
  axis_name: str | None = None,
  clip_norm: float = 10.0,
) -> optax.GradientTransformation:
  """Muon on averaged gradients, clipped by their global norm.

  Momentum of a matrix is made orthogonal before it is a step (Jordan et al., "Muon: An
  optimizer for hidden layers in neural networks", 2024), with the size of Adam's steps
  (a root mean square of 0.2; Liu et al., arXiv 2502.16982). Other parameters have Adam.
  """
  return optax.chain(
    average_over_devices(axis_name),
    optax.clip_by_global_norm(clip_norm),
    contrib.muon(learning_rate, consistent_rms=0.2),
  )


BY_NAME = {"adam": adam, "muon": muon}
