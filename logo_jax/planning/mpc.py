"""Model predictive control with the policies' own candidates (Section 5.2, LOGO).

K joint actions of the present policies are tried in the world model: their likeliest
one and K - 1 samples. After that the policies do what is likeliest for the rest of H
steps. The joint action of the best score is the plan:

  sum_h gamma^h r_h + gamma^H Q(s_H, pi(s_H)), discounted by predicted ends as well

The paper has K = 3 and leaves the rest open: H, whether anything is counted behind it,
and whether candidates are the agents' own or joint ones. Here they are joint, of which
K are tried and not K^N. With several rounds it is the cross-entropy method: K more are
drawn like the best so far, agent by agent. All candidates meet the same random numbers
in the model, so that what they score is what they differ in. What a weighting charges
for uncertainty (`penalty`) is charged, and where it halts a rollout nothing is earned
behind it; confidence, which is a law of sampling, has no say.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.imagination.acted import Imagination, Step, act_in_model
from logo_jax.ops.ranks import pick
from logo_jax.types import (
  Actor,
  Learner,
  Metrics,
  Observed,
  Params,
  Planner,
  WorldModel,
)


@dataclasses.dataclass(frozen=True)
class Config:
  """How plans are made."""

  num_candidates: int = 3  # K joint actions
  # The likeliest is the first of them, which is safe at play. As advice it sharpens
  # policies where the model is indifferent; samples alone exert no such pressure.
  likeliest: bool = True
  rounds: int = 1  # of K candidates each; all but the first like the best so far
  num_elites: int = 2  # E, how many of those are the best; up to K
  horizon: int = 5  # H steps in the model, the candidate's own among them
  terminal_value: bool = True  # count what the learner's value says of step H
  # Of a batch's rows, those that advice is given on. A row's plan takes K * H steps of
  # the model, which are most of an update.
  share: float = 1.0


class Plan(NamedTuple):
  """What was tried, and what it scored."""

  candidates: jax.Array  # joint actions, [K, *b, N] or [K, *b, N, A]
  scores: jax.Array  # [K, *b], in the environment's units

  def best(self) -> jax.Array:
    """The joint actions that scored most, [*b, N] or [*b, N, A]."""
    index = jnp.argmax(self.scores, 0)  # of equal ones the first
    return pick(self.candidates, index, 0)

  def elites(self, num: int) -> "Plan":
    """The `num` best of every row, the best first."""
    scores, index = jax.lax.top_k(jnp.moveaxis(self.scores, 0, -1), num)
    index, scores = (jnp.moveaxis(x, -1, 0) for x in (index, scores))
    return Plan(jax.vmap(lambda i: pick(self.candidates, i, 0))(index), scores)

  def beside(self, other: "Plan") -> "Plan":
    """The candidates of both, one's own first."""
    return jax.tree.map(lambda x, y: jnp.concatenate([x, y]), self, other)

  def metrics(self) -> Metrics:
    """How often, and by how much, something else is better than the first."""
    best = jnp.max(self.scores, 0)
    return {
      "plan/score": best.mean(),
      "plan/gain": (best - self.scores[0]).mean(),
      "plan/share_changed": (best > self.scores[0]).mean(dtype=jnp.float32),
    }


def make(config: Config, imagination: Imagination, learner: Learner) -> Planner:
  """Builds the planner.

  Args:
    config: how plans are made.
    imagination: the model, and what its uncertainty costs.
    learner: whose policies propose and go on, and whose value is read at the end.

  Raises:
    ValueError: a number is out of range, or model or learner do not fit.
  """
  ranges.check(
    "planner.",
    config,
    num_candidates="[2",
    rounds="[1",
    num_elites="[2",
    horizon="[1",
    share="(0,1]",
  )
  if config.num_elites > config.num_candidates:
    raise ValueError(
      f"planner.num_elites: must be at most num_candidates ({config.num_candidates}), "
      f"got {config.num_elites}"
    )
  _check(config, imagination.model, learner)

  def plan(
    params: tuple[Params, Params, Params], now: Observed, key: jax.Array
  ) -> tuple[jax.Array, Metrics]:
    made = make_plan(config, imagination, learner, params, now, key)
    return made.best(), made.metrics()

  def act(params, carry, now: Observed, key: jax.Array, greedy: bool = False):
    del greedy  # a plan is the best there is either way
    return carry, plan(params, now, key)[0]

  actor = Actor(learner.actor.initial_carry, act, centralised=True)
  return Planner(plan, actor, config.share)


def _check(config: Config, model: WorldModel, learner: Learner) -> None:
  if jax.tree.leaves(jax.eval_shape(lambda: learner.actor.initial_carry((1,)))):
    raise ValueError(
      "learner.recurrent: must be False with planner.name='mpc', whose rollouts start "
      "from what is seen now; got True"
    )
  if model.window > 1:
    raise ValueError(
      "planner.name: 'mpc' starts from one step; the model reads windows of "
      f"{model.window}; allowed is a model of one step"
    )
  if config.terminal_value and learner.critic is None:
    raise ValueError(
      "planner.terminal_value: must be False with a learner without a value of joint "
      "actions, got True"
    )


def make_plan(  # noqa: PLR0913  a system's parts, what is seen and a key
  config: Config,
  imagination: Imagination,
  learner: Learner,
  params: tuple[Params, Params, Params],
  now: Observed,
  key: jax.Array,
) -> Plan:
  """Draws candidates and scores them.

  Args:
    config: how plans are made.
    imagination: the model, and what its uncertainty costs.
    learner: whose policies propose and go on.
    params: of model, uncertainty and learner.
    now: what is seen, [B].
    key: of candidates and model.
  """
  k_draw, k_model, k_last, k_rounds = jax.random.split(key, 4)
  actor, critic = learner.actor, learner.critic
  gamma = critic.discount if critic else 1.0
  candidates = propose(actor, params[2], now, config, k_draw)

  def tried(first: jax.Array) -> jax.Array:
    k_step, k_end = (jax.random.clone(k) for k in (k_model, k_last))  # the same for all
    last, steps = act_in_model(
      imagination,
      begins_with(actor, first),
      params,
      now.standing(first),
      config.horizon,
      k_step,
      keep=lambda step: _charged(imagination, step),
    )
    value = jnp.zeros_like(steps.reward[0])
    if config.terminal_value and critic:
      memory = actor.initial_carry(value.shape)
      _, action = actor.act(params[2], memory, last, k_end, greedy=True)
      value = critic.value(params[2], last, action)
    return score(steps, value, gamma)

  first = Plan(candidates, jax.vmap(tried)(candidates))
  if config.rounds == 1:
    return first

  def one_round(elites: Plan, key: jax.Array) -> tuple[Plan, None]:
    drawn = like(elites.candidates, config.num_candidates, key)
    pool = elites.beside(Plan(drawn, jax.vmap(tried)(drawn)))
    return pool.elites(config.num_elites), None

  keys = jax.random.split(k_rounds, config.rounds - 1)
  elites, _ = jax.lax.scan(one_round, first.elites(config.num_elites), keys)
  return first.beside(elites)


def like(elites: jax.Array, num: int, key: jax.Array) -> jax.Array:
  """Joint actions as the cross-entropy method draws them, [`num`, *b, N(, A)].

  Discrete: each agent does what one of the elites does, drawn for it alone; so what is
  legal for the elites is legal. Continuous: normal with the elites' means and unbiased
  standard deviations, within [-1, 1].

  Args:
    elites: the best joint actions so far, [E, *b, N] integers or [E, *b, N, A].
    num: how many.
    key: of the draws.
  """
  shape = (num, *elites.shape[1:])
  if jnp.issubdtype(elites.dtype, jnp.integer):
    index = jax.random.randint(key, shape, 0, len(elites))
    return jnp.take_along_axis(elites, index, 0)
  spread = elites.std(0, ddof=1)
  return jnp.clip(elites.mean(0) + spread * jax.random.normal(key, shape), -1.0, 1.0)


class Earned(NamedTuple):
  """What a step of a rollout comes to; [H, *b] of a whole one."""

  reward: jax.Array
  discount: jax.Array  # probability that the episode goes on
  valid: jax.Array  # bool, the step belongs to the rollout


def _charged(imagination: Imagination, step: Step) -> Earned:
  t = imagination.weighting.on_sample(step.transition, step.uncertainty)
  return Earned(t.reward, t.discount, step.valid)


def score(steps: Earned, value: jax.Array, gamma: float) -> jax.Array:
  """sum_h w_h r_h + w_H value, [*b], where w_h is the product of gamma d up to h.

  The step at which the episode more likely ends than goes on is the last to count.

  Args:
    steps: [H, *b].
    value: [*b], of what follows the last step.
    gamma: discount, per step.
  """
  goes_on = steps.valid & (steps.discount > 0.5)
  reach = jnp.cumprod(gamma * steps.discount * goes_on, 0)
  before = jnp.concatenate([jnp.ones_like(reach[:1]), reach[:-1]])
  return (before * steps.valid * steps.reward).sum(0) + reach[-1] * value


def propose(
  actor: Actor, params: Params, now: Observed, config: Config, key: jax.Array
) -> jax.Array:
  """Joint actions to try, [K, *b, N] or [K, *b, N, A].

  Args:
    actor: without a memory.
    params: of the actor.
    now: what is seen, [*b].
    config: how many, and whether the likeliest is the first.
    key: of the samples.
  """
  memory = actor.initial_carry(now.obs.shape[:-2])
  k_first, k_rest = jax.random.split(key)

  def draw(key: jax.Array) -> jax.Array:
    return actor.act(params, memory, now, key)[1]

  _, first = actor.act(params, memory, now, k_first, greedy=config.likeliest)
  rest = jax.vmap(draw)(jax.random.split(k_rest, config.num_candidates - 1))
  return jnp.concatenate([first[None], rest])


def begins_with(actor: Actor, first: jax.Array) -> Actor:
  """Plays given joint actions once, and then what is likeliest."""

  def initial_carry(shape: tuple[int, ...]):
    return actor.initial_carry(shape), jnp.bool_(True)

  def act(params, carry, now: Observed, key: jax.Array, greedy: bool = False):
    del greedy
    memory, begins = carry
    memory, action = actor.act(params, memory, now, key, greedy=True)
    return (memory, jnp.bool_(False)), jnp.where(begins, first, action)

  return Actor(initial_carry, act, actor.centralised)
