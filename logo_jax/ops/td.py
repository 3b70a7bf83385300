"""Temporal-difference targets."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def one_step_target(
  r_t: Float[Array, "*b"],
  discount_t: Float[Array, "*b"],
  q_t: Float[Array, "*b"],
  value_range: tuple[float, float] | None = None,
) -> Float[Array, "*b"]:
  """r + discount * Q(s', a'), optionally clipped to the possible range of returns.

  Eq. 11 of LOGO with the factor (1 - done) that the paper leaves out. No gradient flows
  into it.

  Args:
    r_t: reward, in the unit of `q_t`.
    discount_t: gamma, or 0 where the episode terminated.
    q_t: value of the next joint action.
    value_range: (low, high) in the unit of `q_t`; None for no clipping.

  Returns:
    The target, same shape.
  """
  target = r_t + discount_t * q_t
  if value_range is not None:
    target = jnp.clip(target, *value_range)
  return jax.lax.stop_gradient(target)
