"""Value losses that read an in-sample maximum from recorded actions alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def expectile_loss(error: Float[Array, "*b"], tau: float) -> Float[Array, "*b"]:
  """Asymmetric squared error |tau - 1(error < 0)| error^2.

  Section 4.1 of IQL (Kostrikov et al., 2022); its minimiser is the tau-expectile.

  Args:
    error: target minus prediction.
    tau: in (0, 1); 0.5 gives half the squared error, towards 1 the maximum.

  Returns:
    The loss, same shape.
  """
  return jnp.where(error < 0, 1 - tau, tau) * jnp.square(error)


def clipped_exponential(
  z: Float[Array, "*b"], limit: float = 10.0
) -> Float[Array, "*b"]:
  """exp(clip(z, -limit, limit)), the policy weights of OMIGA's published code.

  OMIGA (Wang et al., NeurIPS 2023) clones each agent's recorded action with this
  weight, z = (w_i / alpha)(Q_i - V_i).

  Args:
    z: exponent.
    limit: of the exponent, not of the weight. Beyond it the gradient is 0.

  Returns:
    The weights, same shape.
  """
  return jnp.exp(jnp.clip(z, -limit, limit))


def implicit_value_loss(
  z: Float[Array, "*b"], v: Float[Array, "*b"], z_max: Float[Array, ""]
) -> Float[Array, "*b"]:
  """exp(z - z_max) + exp(-z_max) v, OMIGA's loss of the local state values.

  Wang et al. (NeurIPS 2023), scaled by exp(-z_max) as in the published code so that it
  cannot overflow. With z = (w_i / alpha)(Q_i - V_i) and v = w_i V_i / alpha, where only
  V_i carries a gradient,

    d/dV_i = (w_i / alpha) exp(-z_max) (1 - exp(z)),

  which vanishes on average where E[exp(z)] = 1: the local policy weights are then
  normalised. Where z has been clipped, the second term's gradient is left alone.

  Args:
    z: exponent, clipped by the caller (to +-10 in the published code).
    v: the value in the unit of the exponent, w_i V_i / alpha.
    z_max: the larger of -1 and the largest z of the batch, over agents too; a constant
      to the gradient.

  Returns:
    The loss, same shape.
  """
  z_max = jax.lax.stop_gradient(z_max)
  return jnp.exp(z - z_max) + jnp.exp(-z_max) * v
