"""One token with all features of a vector, standardised and continuous."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.codecs.tokens import Codec, Structure, Tokens
from logo_jax.ops import gaussian
from logo_jax.ops.ranks import lift
from logo_jax.ops.standardise import Moments, standardise, unstandardise


def make(
  moments: Moments,
  mask: np.ndarray | None = None,
  variance_exponent: float | None = 0.5,
) -> Codec:
  """Builds the codec of states, or of observations `[*b, N, O]` if there is a mask.

  Args:
    moments: of the features [F], or [N, F] of each agent.
    mask: bool [N, F], False where a feature is padding.
    variance_exponent: of beta-NLL; None predicts no variance, the loss is the squared
      error then.
  """
  keep = moments.varies if mask is None else lift(moments.varies, 2) & mask
  num_kept = jnp.maximum(keep.sum(), 1).astype(jnp.float32)
  real = jnp.ones(moments.varies.shape, bool) if mask is None else mask

  def encode(x: jax.Array) -> Tokens:
    z = _only(real, standardise(x, moments))
    return Tokens(z[..., None, :], jnp.ones((*z.shape[:-1], 1)))

  def split(output: jax.Array, now: Tokens) -> tuple[jax.Array, jax.Array]:
    if variance_exponent is None:
      return _next(now, output, real), jnp.zeros_like(output)
    increment, raw = jnp.split(output, 2, -1)
    return _next(now, increment, real), gaussian.bound_log_var(raw)

  def per_feature(x: jax.Array) -> jax.Array:
    """Mean of [*b, (N,) 1, F] over features that vary and are no padding."""
    axes = (-1,) if mask is None else (-2, -1)
    return _only(keep, x[..., 0, :]).sum(axes) / num_kept

  def loss(output: jax.Array, now: Tokens, after: Tokens) -> jax.Array:
    mean, log_var = split(output, now)
    if variance_exponent is None:
      return per_feature((after.values - mean) ** 2)
    return per_feature(
      gaussian.beta_nll(after.values, mean, log_var, variance_exponent)
    )

  def variance(output: jax.Array, now: Tokens) -> jax.Array:
    _, log_var = split(output, now)
    known = jnp.exp(log_var[..., 0, :])
    return _only(keep, jnp.zeros_like(known) if variance_exponent is None else known)

  def vector(tokens: Tokens) -> jax.Array:
    return _only(real, unstandardise(tokens.values[..., 0, :], moments))

  size = moments.varies.shape[-1]
  return Codec(
    structure=_structure(real),
    num_tokens=1,
    token_size=size,
    output_size=size if variance_exponent is None else 2 * size,
    encode=encode,
    decode=lambda output, now: Tokens(split(output, now)[0], now.present),
    bound=lambda tokens: encode(vector(tokens)),
    vector=vector,
    standardised=lambda tokens: _only(keep, tokens.values[..., 0, :]),
    loss=loss,
    variance=variance,
    error=lambda said, after: per_feature((said.values - after.values) ** 2),
  )


def _structure(real: jax.Array | np.ndarray) -> Structure:
  """Nothing is known of features but whether they are there."""
  has = np.asarray(real, np.float32)[..., None, :]
  return Structure(has, np.zeros((*has.shape[:-1], 0)), np.zeros(0, int), ())


def _next(now: Tokens, increment: jax.Array, real: jax.Array | np.ndarray) -> jax.Array:
  return now.values + _only(real[..., None, :], increment)


def _only(there: jax.Array | np.ndarray, x: jax.Array) -> jax.Array:
  """`x`, 0 where nothing is `there`, which has no batch axes."""
  return jnp.where(lift(there, x.ndim), x, 0.0)
