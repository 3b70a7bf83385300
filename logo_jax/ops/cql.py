"""Conservative terms of CQL (Kumar et al., 2020) and its kin for one state."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_ILLEGAL = -1e9  # finite, so that gradients stay finite; exp(_ILLEGAL) is 0


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


def masked_logsumexp(
  q: Float[Array, " A"], legal: Bool[Array, " A"]
) -> Float[Array, ""]:
  """log sum_a exp q(a) over legal actions, the exact soft maximum.

  Args:
    q: [A] values; illegal entries may be anything and receive no gradient.
    legal: [A] which actions count. Without any the result is meaningless but finite,
      so that it can be given weight 0.

  Returns:
    The soft maximum.
  """
  chex.assert_rank([q, legal], 1)
  chex.assert_equal_shape([q, legal])
  return jax.nn.logsumexp(jnp.where(legal, q, _ILLEGAL))


def zeroed_logsumexp(
  q_samples: Float[Array, " K"], valid: Bool[Array, " K"]
) -> Float[Array, ""]:
  """log sum_k exp(valid_k Q(s, u_k)), the push-down of the published MACQL code.

  The joint actions are drawn uniformly from all, and one with an illegal part counts as
  Q = 0 instead of being left out (CFCQL's repository, Shao et al., 2023). There is
  neither an importance weight nor -log K. As few joint samples are legal when agents
  are many, most of the pressure is lost; `masked_logsumexp` and `logsumexp_push_down`
  have no such flaw.

  Args:
    q_samples: [K] values of the sampled joint actions.
    valid: [K] True where every agent's sampled action is legal.

  Returns:
    The soft maximum, log K where no sample is valid.
  """
  chex.assert_rank([q_samples, valid], 1)
  chex.assert_equal_shape([q_samples, valid])
  return jax.nn.logsumexp(jnp.where(valid, q_samples, 0.0))


def counterfactual_weights(
  kl: Float[Array, " N"], temperature: float
) -> Float[Array, " N"]:
  """Shares of the agents in CFCQL's conservative term: softmax_i(temperature KL_i).

  The agent that strays furthest from the data is held back most (Shao et al., 2023).
  No gradient flows into them.

  Args:
    kl: [N] divergence of each agent's soft-greedy policy from the behaviour, in nats.
    temperature: per nat; 0 weighs all agents 1/N. The published code takes 100 for the
      arg max itself.

  Returns:
    Weights that sum to 1, [N].
  """
  chex.assert_rank(kl, 1)
  return jax.lax.stop_gradient(jax.nn.softmax(temperature * kl))


def masked_kl(
  log_mu: Float[Array, " A"],
  log_beta: Float[Array, " A"],
  legal: Bool[Array, " A"],
  floor: float = 1e-5,
) -> Float[Array, ""]:
  """KL(mu || beta) over legal actions, with floored probabilities.

  sum_a (mu + floor) (log(mu + floor) - log(beta + floor)), as in the published code of
  CFCQL (Shao et al., 2023); the floor bounds it where beta vanishes.

  Args:
    log_mu: [A] log-probabilities of the policy; -inf is allowed.
    log_beta: [A] log-probabilities of the behaviour; -inf is allowed.
    legal: [A] which actions count.
    floor: added to each probability.

  Returns:
    The divergence, in nats.
  """
  chex.assert_rank([log_mu, log_beta, legal], 1)
  chex.assert_equal_shape([log_mu, log_beta, legal])
  mu, beta = jnp.exp(log_mu) + floor, jnp.exp(log_beta) + floor
  return jnp.sum(jnp.where(legal, mu * (jnp.log(mu) - jnp.log(beta)), 0.0))
