"""Correlations."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def within_groups(
  x: Float[Array, "*b A"],
  y: Float[Array, "*b A"],
  counted: Bool[Array, "*b A"],
  weight: Float[Array, "*b"],
) -> Float[Array, ""]:
  """Pearson's correlation of what is left when each group's own means are taken away.

  Args:
    x: values, groups along the last axis.
    y: others.
    counted: which of them count.
    weight: of groups.

  Returns:
    The correlation over all groups together; 0 where one of the two does not vary.
  """
  num = jnp.maximum(counted.sum(-1, keepdims=True), 1).astype(x.dtype)

  def centred(z: Float[Array, "*b A"]) -> Float[Array, "*b A"]:
    z = jnp.where(counted, z, 0.0)
    return jnp.where(counted, z - z.sum(-1, keepdims=True) / num, 0.0)

  x, y = centred(x), centred(y)
  xy, xx, yy = (jnp.sum(weight * (u * v).sum(-1)) for u, v in ((x, y), (x, x), (y, y)))
  return xy / jnp.sqrt(jnp.maximum(xx * yy, 1e-12))
