"""Normal distributions squashed by tanh into (-1, 1): policies of continuous actions.

Haarnoja et al., "Soft actor-critic", ICML 2018, appendix C.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.ops.gaussian import negative_log_likelihood

# Recorded actions may lie on the border, where the density is infinite or 0.
_LARGEST = 1.0 - 1e-6


def mode(mean: Float[Array, "*b A"]) -> Float[Array, "*b A"]:
  """The squashed mean: the greedy action."""
  return jnp.tanh(mean)


def sample(
  mean: Float[Array, "*b A"], log_var: Float[Array, "*b A"], key: jax.Array
) -> Float[Array, "*b A"]:
  """Samples actions in [-1, 1]."""
  return jnp.tanh(mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape))


def log_prob(
  action: Float[Array, "*b A"],
  mean: Float[Array, "*b A"],
  log_var: Float[Array, "*b A"],
) -> Float[Array, "*b"]:
  """log of the density of actions, summed over their dimensions.

  `log N(atanh(a); mean, var) - log(1 - a^2)`, with |a| bounded by 1 - 1e-6.

  Args:
    action: in [-1, 1].
    mean: before squashing.
    log_var: logarithm of the variance before squashing.
  """
  action = jnp.clip(action, -_LARGEST, _LARGEST)
  nll = negative_log_likelihood(jnp.arctanh(action), mean, log_var)
  per_dimension = -nll - 0.5 * jnp.log(2 * jnp.pi) - jnp.log1p(-jnp.square(action))
  return per_dimension.sum(-1)
