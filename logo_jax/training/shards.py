"""What one device must know of the others that share a run's batch."""

import jax
import jax.numpy as jnp


def shard_key(key: jax.Array, axis_name: str | None) -> jax.Array:
  """A key of its own for each device of the axis; `key` without one."""
  if axis_name is None:
    return key
  return jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def relative_mass(log_mass: jax.Array, axis_name: str | None) -> jax.Array:
  """This device's mass over the devices' mean; 1 without an axis.

  Each device draws equally many imagined rows from its own part of the ring. Weighing
  them by this ratio makes the devices' mean an unbiased mean under the whole ring's
  law.
  """
  if axis_name is None:
    return jnp.ones_like(log_mass)
  mass = jnp.exp(log_mass - jax.lax.pmax(log_mass, axis_name))
  return mass / jax.lax.pmean(mass, axis_name)


def mean_over_shards(tree, axis_name: str | None):
  """Metrics of the whole batch."""
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)
