"""Counterfactual conservative Q-learning (CFCQL, Shao et al., NeurIPS 2023).

MACQL's learner with another push-down: instead of the soft maximum over joint actions,
the mean over agents, with weights lambda_i(s), of the soft maximum over what agent i
alone could do while the others do what they did,

  sum_i lambda_i(s) log sum_{a_i} exp Q(s, (a_i, a_{-i})) - Q(s, a).

The push-down grows with one agent's actions, not with all agents' together. lambda is
softmax_i(temperature * KL_i(s)), KL_i the divergence of agent i's policy from its
behaviour policy beta_i, which is learned alongside: who strays furthest is held back
most. No gradient flows into lambda.

* Discrete actions: the soft maximum is exact, over all legal actions; KL_i is that of
  the soft maximum's own distribution, softmax of Q(s, (., a_{-i})), from a clone. As
  published, the agents play their best utilities and there is no policy network.
* Continuous ones: the soft maximum is estimated from actions drawn uniformly, from the
  policy and from the next observations' policy, as in MACQL. KL_i is the log-density of
  the policy's own action under the policy (its peak) less that under a joint-action
  variational auto-encoder. There the others do as recorded: latents of a joint action
  that is odd in all its parts are poor samples for any one of them.

The published continuous code differs where we do not follow. It exchanges the
log-densities of its samples of current and next observations; beside the latter the
others' actions come from the next row of the file, be it another episode's; and the
others' actions are jittered by 1e-5; and where it has a temperature it gives those who
stray furthest the least weight (a soft minimum), not the most. The discrete code takes
a temperature of 100 for the arg max; a softmax at 100 is all but that.

The published code learns beta beforehand, for about as many updates as the learner, and
keeps it: `behaviour_pretrain` = `behaviour_updates` = that number, which counts among
the updates of a run. Its discrete targets are TD(0.6) along whole episodes: `td_lambda`
and `window`.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.learners.parts import clone, common, conservative, settings
from logo_jax.learners.parts.conservative import Parts, Penalty, View
from logo_jax.networks.behaviour import (
  Behaviour,
  CategoricalBehaviour,
  JointActionVAE,
  make_behaviour,
)
from logo_jax.networks.value import MixedValue
from logo_jax.ops import cql
from logo_jax.types import Learner, LearnerContext, Metrics, Params


@dataclasses.dataclass(frozen=True)
class Config(settings.Config):
  """Adds the agents' shares and the behaviour model.

  `cql_weight` None: 10 if actions are discrete, 5 if continuous; the best of 1, 3, 10
  and 30 on SMAX 2s3z and of 1 and 5 on Hopper 3x1, medium data, one short run each.
  `bc_weight` None: 1.
  """

  # None: "greedy" if actions are discrete, else "network". (The base knows no None.)
  policy: Literal["network", "greedy", None] = None  # pyright: ignore
  # None: "greedy" with a greedy policy, else "policy".
  backup: Literal["policy", "greedy", None] = None  # pyright: ignore
  # Of lambda, per nat; 0: all agents 1/N, and no behaviour model. None: 0.5 if actions
  # are discrete (published for 2s3z, medium), 0 if continuous (published default).
  temperature: float | None = None
  # Continuous actions per state and agent, of each of three kinds; published: 10.
  num_samples: int = 5
  behaviour_learning_rate: float = 1e-3  # Adam; published code of discrete actions
  behaviour_warmup: int = 500  # updates before which all agents weigh 1/N
  behaviour_updates: int = 0  # updates after which beta is kept; 0: learns on
  behaviour_pretrain: int = 0  # updates at first in which beta alone learns
  behaviour_samples: int = 20  # latents per joint continuous action; published code


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner with state params {"policy", "value", "penalty"}: "policy" unless it is
    greedy, "penalty" the behaviour model or empty.

  Raises:
    ValueError: a number is out of range, or a choice does not fit the actions.
  """
  config = _resolve(config, context.spec.action_kind)
  ranges.check(
    "learner.",
    config,
    temperature="[0",
    num_samples="[1",
    behaviour_learning_rate="(0",
    behaviour_warmup="[0",
    behaviour_updates="[0",
    behaviour_pretrain="[0",
    behaviour_samples="[1",
  )
  parts = conservative.make_parts(config, context)
  return conservative.make(parts, context, counterfactual_penalty(parts, context))


def _resolve(config: Config, action_kind: str) -> Config:
  """Fills in what is None; the base's fields are `settings.check`'s."""
  discrete = action_kind == "discrete"
  policy = config.policy or ("greedy" if discrete else "network")
  backup = config.backup or ("greedy" if policy == "greedy" else "policy")
  config = dataclasses.replace(config, policy=policy, backup=backup)
  return common.resolve(
    config,
    action_kind,
    cql_weight={"discrete": 10.0, "continuous": 5.0},
    bc_weight=dict.fromkeys(("discrete", "continuous"), 1.0),
    temperature={"discrete": 0.5, "continuous": 0.0},
  )


def counterfactual_penalty(parts: Parts, context: LearnerContext) -> Penalty:
  """The push-down over what each agent alone could do."""
  config = parts.config
  push_down = (
    _discrete if context.spec.action_kind == "discrete" else _continuous
  )  # (parts, model, learned, view, key) -> LSE_i, KL_i
  model = None
  if config.temperature > 0:
    trunk = common.make_trunk(config)
    model = make_behaviour(context.spec, context.statistics, trunk)

  def down(learned: Any, view: View, key: jax.Array) -> tuple[jax.Array, Metrics]:
    soft_max, kl = push_down(parts, model, learned, view, key)
    if model is None:
      return soft_max.mean(-1), {}
    known = learned.step >= config.behaviour_warmup
    weigh = jnp.vectorize(
      lambda x: cql.counterfactual_weights(x, config.temperature), signature="(n)->(n)"
    )
    share = weigh(jnp.where(known, kl, 0.0))
    metrics = {
      "learner/behaviour_kl": jnp.mean(view.weight * kl.mean(-1)),
      "learner/largest_share": jnp.mean(view.weight * share.max(-1)),
    }
    return (share * soft_max).sum(-1), metrics

  if model is None:
    return Penalty(
      init=lambda key: ((), ()),
      update=lambda params, opt_state, batch, key: (params, opt_state, {}),
      down=down,
    )
  return clone.penalty(
    *(model, context, down, config.behaviour_learning_rate),
    updates=config.behaviour_updates,
    alone=config.behaviour_pretrain,
  )


def _discrete(
  parts: Parts, model: Behaviour | None, learned: Any, view: View, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Exact soft maxima and divergences of all agents, [H, *b, N]."""
  del key
  assert isinstance(parts.value, MixedValue)
  q, legal = parts.value.all_counterfactual(view.context, view.encoded), view.t.legal
  soft_max = jnp.vectorize(cql.masked_logsumexp, signature="(a),(a)->()")(q, legal)
  if model is None:
    return soft_max, jnp.zeros(())
  assert isinstance(model, CategoricalBehaviour)
  log_mu = jnp.where(legal, q - soft_max[..., None], -jnp.inf)
  log_beta = model.log_probs(learned.params, view.t)
  kl = jnp.vectorize(cql.masked_kl, signature="(a),(a),(a)->()")
  return soft_max, jax.lax.stop_gradient(kl(log_mu, log_beta, legal))


def _continuous(
  parts: Parts, model: Behaviour | None, learned: Any, view: View, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Estimated soft maxima [H, *b, N], and divergences [*b, N]."""
  k_samples, k_latent = jax.random.split(key)
  own, log_prob = draw_own(parts, view, k_samples)
  q = parts.value.counterfactual(view.value, view.context, view.encoded, own)
  estimate = jnp.vectorize(cql.logsumexp_push_down, signature="(k),(k)->()")
  soft_max = estimate(jnp.moveaxis(q, 1, -1), jnp.moveaxis(log_prob, 0, -1))
  if model is None:
    return soft_max, jnp.zeros(())
  assert isinstance(model, JointActionVAE)
  kl = _policy_from_behaviour(parts, model, learned.params, view, k_latent)
  return soft_max, kl


def draw_own(parts: Parts, view: View, key: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Continuous actions for each agent on its own, M of each of three kinds.

  Returns:
    Actions [3M, *b, N, A] and their log-densities [3M, *b, N].
  """
  head, legal = parts.policy.head, view.t.legal

  def draw(sample, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(sample)(jax.random.split(key, parts.config.num_samples))

  k_uniform, k_policy, k_next = jax.random.split(key, 3)
  kinds = (
    draw(lambda k: head.uniform(legal, k), k_uniform),
    draw(lambda k: head.sample(view.outputs, legal, k), k_policy),
    draw(lambda k: head.sample(view.next_outputs, legal, k), k_next),
  )
  action, log_prob = (jnp.concatenate(x) for x in zip(*kinds, strict=True))
  return action, log_prob


def _policy_from_behaviour(
  parts: Parts, model: JointActionVAE, params: Params, view: View, key: jax.Array
) -> jax.Array:
  """log pi_i - log beta_i of the policy's action, the others' as recorded; [*b, N]."""
  head, legal = parts.policy.head, view.t.legal
  own = head.mode(view.outputs, legal)
  peak = head.log_prob(view.outputs, legal, own)
  keys = jax.random.split(key, own.shape[-2])

  def of_agent(agent: jax.Array, key: jax.Array) -> jax.Array:
    is_agent = jnp.arange(own.shape[-2]) == agent
    action = jnp.where(is_agent[:, None], own, view.encoded)
    each = model.log_prob(
      params, view.t.state, action, key, parts.config.behaviour_samples
    )
    return each[..., agent]

  log_beta = jax.vmap(of_agent, out_axes=-1)(jnp.arange(own.shape[-2]), keys)
  return jax.lax.stop_gradient(peak - log_beta)
