"""Multi-agent conservative Q-learning, LOGO's backbone (Section 4.4, AAMAS 2026).

A centralised value and decentralised policies. Values of discrete actions are mixed
monotonically from per-agent utilities, with categorical policies; those of continuous
actions are a perceptron on state and joint action, with deterministic policies. The
paper's Eq. 10 to 12 in this reading:

* Eq. 10: the Bellman error is taken on the whole batch, real and imagined; as printed,
  imagined rewards and next states would never be used. Both conservative terms are
  taken on real rows. Pushing imagined states down and real ones up (COMBO, Yu et al.,
  2021; `push_down_on="batch"`) parts their values without bound at a weight as large as
  discrete actions need: Bellman errors were fifteen times larger on SMAX.
* The push-down is CQL's soft maximum over sampled joint actions: uniform legal ones,
  the policy's and, if continuous, the next policy's. `push_down="policy"` is the
  printed expectation over the policy, `push_down="uniform_zeroed"` the published SMAC
  code: uniform samples over all actions, of which the illegal ones count as Q = 0; with
  many agents hardly any sample is legal, and the penalty all but vanishes.
* Eq. 11: the value of the next step is 0 after termination, and a minimum over two
  heads of the policy's own joint action; `backup="greedy"` is the printed maximum,
  which under monotonic mixing is the joint action of the agents' best utilities (double
  Q-learning: chosen by the value, valued by its target).
* Eq. 12: the policy ascends the value along straight-through samples, or along its own
  actions if continuous; cloning is the cross entropy of the recorded actions, or the
  printed squared error (a mean over dimensions) if continuous.

`policy="greedy"` drops the policy network, as the published SMAC code of MACQL.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.learners.parts import clone, common, conservative, settings
from logo_jax.learners.parts.conservative import Parts, Penalty, View
from logo_jax.ops import actions, cql
from logo_jax.types import Learner, LearnerContext, Params


@dataclasses.dataclass(frozen=True)
class Config(settings.Config):
  """Adds how joint actions are sampled for the push-down."""

  # Joint actions per state, of each kind; None: 16 if actions are discrete, 10 if
  # continuous (published code of CFCQL).
  num_samples: int | None = None
  # What Eq. 10 lowers: the logsumexp over samples, the policy's value (CFCQL), or the
  # logsumexp of uniform samples, illegal ones counting as 0 (MACQL's published code).
  push_down: Literal["logsumexp", "policy", "uniform_zeroed"] = "logsumexp"


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner with state params {"policy", "value", "penalty"}, the last one a clone
    that only watches (`parts.clone.watched`), or empty if actions are continuous.

  Raises:
    ValueError: a number is out of range, or a choice does not fit the actions.
  """
  kind = context.spec.action_kind
  config = common.resolve(config, kind, num_samples={"discrete": 16, "continuous": 10})
  ranges.check("learner.", config, num_samples="[1")
  if config.push_down == "uniform_zeroed" and kind != "discrete":
    raise ValueError(
      f"learner.push_down: 'uniform_zeroed' needs discrete actions, got {kind!r}"
    )
  if config.push_down == "policy" and config.policy == "greedy":
    raise ValueError(
      "learner.push_down: 'policy' needs learner.policy='network', got 'greedy'"
    )
  parts = conservative.make_parts(config, context)
  penalty = joint_penalty(parts)
  if kind == "discrete":
    penalty = clone.watched(penalty, parts, context)
  return conservative.make(parts, context, penalty)


def joint_penalty(parts: Parts) -> Penalty:
  """The push-down over sampled joint actions; nothing is learned for it."""

  def down(params: Params, view: View, key: jax.Array):
    del params
    return _push_down(parts, view, key), {}

  return Penalty(
    init=lambda key: ((), ()),
    update=lambda params, opt_state, batch, key: (params, opt_state, {}),
    down=down,
  )


def _push_down(parts: Parts, view: View, key: jax.Array) -> jax.Array:
  """The value that Eq. 10 lowers, [H, *b], from K joint actions per state and kind."""
  config, head, legal = parts.config, parts.policy.head, view.t.legal
  k_uniform, k_policy, k_next = jax.random.split(key, 3)

  def draw(sample, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Encoded joint actions [K, *b, N, A] and their log-probabilities [K, *b]."""
    action, log_prob = jax.vmap(sample)(jax.random.split(key, config.num_samples))
    return actions.encode(action, legal.shape[-1]), log_prob.sum(-1)

  def joint(encoded: jax.Array) -> jax.Array:  # [H, K, *b]
    return parts.value.joint(view.value, view.context, encoded)

  if config.push_down == "policy":
    encoded, _ = draw(lambda k: head.sample(view.outputs, legal, k), k_policy)
    return joint(encoded).mean(1)
  if config.push_down == "uniform_zeroed":
    anything = jnp.ones_like(legal)
    encoded, _ = draw(lambda k: head.uniform(anything, k), k_uniform)
    valid = (encoded * legal).sum(-1).all(-1)  # [K, *b]
    return _over_states(cql.zeroed_logsumexp, joint(encoded), valid)
  kinds = [draw(lambda k: head.uniform(legal, k), k_uniform)]
  if config.policy == "network":
    kinds.append(draw(lambda k: head.sample(view.outputs, legal, k), k_policy))
    if jnp.issubdtype(view.t.action.dtype, jnp.floating):
      kinds.append(draw(lambda k: head.sample(view.next_outputs, legal, k), k_next))
  encoded, log_prob = (jnp.concatenate(x) for x in zip(*kinds, strict=True))
  return _over_states(cql.logsumexp_push_down, joint(encoded), log_prob)


def _over_states(fn, q: jax.Array, per_sample: jax.Array) -> jax.Array:
  """`fn` of [K] and [K] over heads and states: [H, K, *b] and [K, *b] to [H, *b]."""
  for _ in range(per_sample.ndim - 1):
    fn = jax.vmap(fn, (-1, -1), -1)
  return jax.vmap(fn, (0, None))(q, per_sample)
