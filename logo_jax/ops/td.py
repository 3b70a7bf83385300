"""Temporal-difference targets."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


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


def lambda_returns(
  r_t: Float[Array, " T"],
  discount_t: Float[Array, " T"],
  v_t: Float[Array, " T"],
  lambda_t: Float[Array, " T"],
) -> Float[Array, " T"]:
  """TD(lambda) returns of one window of consecutive steps.

  G_t = r_t + discount_t ((1 - lambda_t) v_t + lambda_t G_{t+1}), Section 12.8 of Sutton
  and Barto (2018), from the back. No gradient flows into it.

  Args:
    r_t: [T] reward of each step, in the unit of `v_t`.
    discount_t: [T] gamma, or 0 where the episode terminated.
    v_t: [T] value of the state that each step leads to; finite in padding, too.
    lambda_t: [T] in [0, 1]; 0 cuts the recursion after a step, for the last step of an
      episode or one whose successor is padding. At T there is no successor, and the
      return is r + discount * v whatever lambda says.

  Returns:
    The returns, [T].
  """
  chex.assert_rank([r_t, discount_t, v_t, lambda_t], 1)
  chex.assert_equal_shape([r_t, discount_t, v_t, lambda_t])

  def back(g, step):
    r, discount, v, lambda_ = step
    g = r + discount * ((1 - lambda_) * v + lambda_ * g)
    return g, g

  lambda_t = lambda_t.at[-1].set(0)
  xs = (r_t, discount_t, v_t, lambda_t)
  _, returns = jax.lax.scan(back, jnp.zeros_like(v_t[-1]), xs, reverse=True)
  return jax.lax.stop_gradient(returns)


def n_step_returns(
  r_t: Float[Array, " T"],
  discount_t: Float[Array, " T"],
  v_t: Float[Array, " T"],
  goes_on: Bool[Array, " T"],
  num: int,
) -> Float[Array, " T"]:
  """Rewards of `num` steps and the value behind them, discounted; no gradient flows.

  Args:
    r_t: [T] reward of each step, in the unit of `v_t`.
    discount_t: [T] gamma, or 0 where the episode terminated.
    v_t: [T] value of the state that each step leads to; finite in padding, too.
    goes_on: [T] the next step follows on this one. Where it does not, or at T, a return
      ends with the value there, after fewer steps.
    num: n, at least 1.

  Returns:
    The returns, [T].
  """
  chex.assert_rank([r_t, discount_t, v_t, goes_on], 1)
  chex.assert_equal_shape([r_t, discount_t, v_t, goes_on])
  goes_on = goes_on.at[-1].set(False)
  returns = r_t + discount_t * v_t
  for _ in range(num - 1):
    after = jnp.where(goes_on, jnp.roll(returns, -1), v_t)
    returns = r_t + discount_t * after
  return jax.lax.stop_gradient(returns)
