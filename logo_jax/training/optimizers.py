"""Optimizers, and the averaging of gradients over the devices of one run."""

from typing import Any

import jax
import jax.numpy as jnp
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


def by_shape(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
  """One for parameters of equal shape stacked on a leading axis, one stack per shape.

  A program that treats each parameter apart is large, and takes long to compile.
  """

  def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
    stacks: Any = None if params is None else _stacks(params)
    steps: Any
    steps, state = optimizer.update(_stacks(updates), state, stacks)
    rest = {shape: iter(stack) for shape, stack in steps.items()}
    return jax.tree.map(lambda x: next(rest[_shape(x)]), updates), state

  return optax.GradientTransformation(
    lambda params: optimizer.init(_stacks(params)), update
  )


def _stacks(tree: Any) -> Any:
  """Leaves by their shape, in the tree's order."""
  leaves = jax.tree.leaves(tree)
  return {
    shape: jnp.stack([x for x in leaves if _shape(x) == shape])
    for shape in sorted({_shape(x) for x in leaves})
  }


def _shape(x: jax.Array) -> str:
  """As a name, for checkpoints."""
  return "of_" + "x".join(str(size) for size in x.shape)


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
  return by_shape(
    optax.chain(
      average_over_devices(axis_name),
      optax.clip_by_global_norm(clip_norm),
      contrib.muon(
        learning_rate,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=_of_stacks,
      ),
    )
  )


def _of_stacks(stacks: Any) -> Any:
  """Which axes are a matrix's, and None of stacks of anything else."""
  matrix = contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
  return jax.tree.map(lambda x: matrix if x.ndim == 3 else None, stacks)


BY_NAME = {"adam": adam, "muon": muon}
