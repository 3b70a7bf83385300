"""Diagonal Gaussian likelihoods with softly bounded log-variance."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LOG_VAR_LOW = -10.0
LOG_VAR_HIGH = 0.5


def bound_log_var(
  raw: Float[Array, "*b"], low: float = LOG_VAR_LOW, high: float = LOG_VAR_HIGH
) -> Float[Array, "*b"]:
  """Squashes a log-variance softly into (low, high).

  `high - softplus(high - x)`, then `low + softplus(x - low)`, the form of PETS (Chua et
  al., 2018). Without bounds the likelihood of constant features has no maximum.

  Args:
    raw: any real numbers.
    low: lower bound.
    high: upper bound.

  Returns:
    Log-variances, same shape.
  """
  x = high - jax.nn.softplus(high - raw)
  return low + jax.nn.softplus(x - low)


def negative_log_likelihood(
  target: Float[Array, "*b"], mean: Float[Array, "*b"], log_var: Float[Array, "*b"]
) -> Float[Array, "*b"]:
  """Elementwise -log N(target; mean, exp(log_var)) without the constant log(2 pi)/2."""
  return 0.5 * ((target - mean) ** 2 * jnp.exp(-log_var) + log_var)


def beta_nll(
  target: Float[Array, "*b"],
  mean: Float[Array, "*b"],
  log_var: Float[Array, "*b"],
  exponent: float,
) -> Float[Array, "*b"]:
  """`negative_log_likelihood`, its gradient multiplied by the variance ** `exponent`.

  beta-NLL (Seitzer et al., 2022): 0 is the plain likelihood, 1 has the gradient of a
  squared error for the mean.
  """
  nll = negative_log_likelihood(target, mean, log_var)
  return jax.lax.stop_gradient(jnp.exp(exponent * log_var)) * nll


def kl(
  mean: Float[Array, "*b A"],
  log_var: Float[Array, "*b A"],
  other_mean: Float[Array, "*b A"],
  other_log_var: Float[Array, "*b A"],
) -> Float[Array, "*b"]:
  """KL(N(mean, var) || N(other mean, other var)), summed over dimensions."""
  ratio = log_var - other_log_var
  distance = (mean - other_mean) ** 2 * jnp.exp(-other_log_var)
  return 0.5 * (jnp.exp(ratio) + distance - 1.0 - ratio).sum(-1)


def entropy(log_var: Float[Array, "*b A"]) -> Float[Array, "*b"]:
  """Differential entropy, summed over dimensions."""
  return 0.5 * (log_var + 1.0 + jnp.log(2 * jnp.pi)).sum(-1)
