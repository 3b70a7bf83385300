"""Conservative terms of CQL (Kumar et al., 2020) for one state."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def logsumexp_push_down(
  q_samples: Float[Array, " K"], log_prob: Float[Array, " K"]
) -> Float[Array, ""]:
  """Estimate of log sum_a exp Q(s, a) from K sampled joint actions.

  log (1/K) sum_k exp(Q(s, u_k) - log p(u_k)), the importance-sampled soft maximum of
  CQL(H), Eq. 4 of Kumar et al. (2020).

  Args:
    q_samples: [K] values of the sampled joint actions.
    log_prob: [K] log-probabilities under the sampling law, constants to the gradient.

  Returns:
    The estimate, unbiased before the logarithm.
  """
  chex.assert_rank([q_samples, log_prob], 1)
  chex.assert_equal_shape([q_samples, log_prob])
  k = q_samples.shape[0]
  return jax.nn.logsumexp(q_samples - jax.lax.stop_gradient(log_prob)) - jnp.log(k)
