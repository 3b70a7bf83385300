"""Discrete joint actions under legal-action masks, and what networks read of actions.

Learners and world models handle actions through these functions only, so that another
kind of action is another set of functions. Every legal row must allow some action:
`fill_empty` mends rows that do not.
"""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_ILLEGAL = -1e9  # finite, so that gradients stay finite; exp(_ILLEGAL) is 0


def fill_empty(
  legal: Bool[Array, "*b A"], logits: Float[Array, "*b A"]
) -> Bool[Array, "*b A"]:
  """Allows the action of the largest logit where a row allows none."""
  best = jax.nn.one_hot(jnp.argmax(logits, -1), legal.shape[-1], dtype=bool)
  return legal | (~legal.any(-1, keepdims=True) & best)


def distribution(
  logits: Float[Array, "*b A"], legal: Bool[Array, "*b A"]
) -> distrax.Categorical:
  """The policy over legal actions; illegal ones have probability exactly 0."""
  return distrax.Categorical(logits=jnp.where(legal, logits, _ILLEGAL))


def greedy(
  values: Float[Array, "*b A"], legal: Bool[Array, "*b A"]
) -> Int[Array, "*b"]:
  """The legal action of the largest value."""
  return jnp.argmax(jnp.where(legal, values, _ILLEGAL), -1).astype(jnp.int32)


def sample(
  logits: Float[Array, "*b A"], legal: Bool[Array, "*b A"], key: jax.Array
) -> Int[Array, "*b"]:
  """Samples legal actions, each row on its own.

  By inversion: one random number per row, where a Gumbel maximum takes one per action,
  which are most of the cost of drawing many joint actions.
  """
  below = jnp.cumsum(distribution(logits, legal).probs, -1)
  # Below the last sum in spite of rounding, lest the last legal action be overshot.
  u = jax.random.uniform(key, below.shape[:-1]) * below[..., -1] * (1 - 1e-6)
  return (u[..., None] >= below).sum(-1).astype(jnp.int32)


def log_prob(
  logits: Float[Array, "*b A"], legal: Bool[Array, "*b A"], action: Int[Array, "*b"]
) -> Float[Array, "*b"]:
  """log pi(action), over legal actions."""
  return jnp.asarray(distribution(logits, legal).log_prob(action))


def sample_straight_through(
  logits: Float[Array, "*b A"], legal: Bool[Array, "*b A"], key: jax.Array
) -> Float[Array, "*b A"]:
  """One-hot samples with the probabilities' gradient (Bengio et al., 2013)."""
  probs = jnp.asarray(distribution(logits, legal).probs)
  return straight_through(sample(logits, legal, key), probs)


def straight_through(
  action: Int[Array, "*b"], probs: Float[Array, "*b A"]
) -> Float[Array, "*b A"]:
  """One-hot actions with the probabilities' gradient (Bengio et al., 2013)."""
  hard = jax.nn.one_hot(action, probs.shape[-1])
  return hard + probs - jax.lax.stop_gradient(probs)


def select(
  values: Float[Array, "*b A"], action: Int[Array, "*b"]
) -> Float[Array, "*b"]:
  """values[..., action]."""
  return jnp.take_along_axis(values, action[..., None], -1)[..., 0]


def unscale(
  action: Float[Array, "*b A"], low: Float[Array, " A"], high: Float[Array, " A"]
) -> Float[Array, "*b A"]:
  """Continuous actions in [-1, 1] in the units of a game whose box is [low, high].

  Data whose actions were rescaled have both bounds in their card's `action_bounds`.
  """
  low, high = jnp.asarray(low), jnp.asarray(high)
  return low + (action + 1) / 2 * (high - low)


def encode(
  action: Int[Array, "*b"] | Float[Array, "*b A"], num_actions: int
) -> Float[Array, "*b A"]:
  """Actions as network input: one-hot if discrete, continuous ones as they are.

  Args:
    action: integers name discrete actions, floats are continuous actions in [-1, 1].
    num_actions: A, the number of discrete actions or the dimension of continuous ones.
  """
  if jnp.issubdtype(action.dtype, jnp.floating):
    return action
  return jax.nn.one_hot(action, num_actions)


def kl(
  logits: Float[Array, "*b A"],
  other_logits: Float[Array, "*b A"],
  legal: Bool[Array, "*b A"],
) -> Float[Array, "*b"]:
  """KL(pi || other) over legal actions."""
  log_p, log_q = (_log_probs(x, legal) for x in (logits, other_logits))
  return jnp.where(legal, jnp.exp(log_p) * (log_p - log_q), 0.0).sum(-1)


def entropy(
  logits: Float[Array, "*b A"], legal: Bool[Array, "*b A"]
) -> Float[Array, "*b"]:
  """Of the policy over legal actions; 0 where there is one."""
  log_p = _log_probs(logits, legal)
  return -jnp.where(legal, jnp.exp(log_p) * log_p, 0.0).sum(-1)


def _log_probs(logits: jax.Array, legal: jax.Array) -> jax.Array:
  return jax.nn.log_softmax(jnp.where(legal, logits, _ILLEGAL))
