"""MAZero, offline: policies learned from searches in a model that predicts no pictures.

Liu et al., "Efficient multi-agent reinforcement learning by planning", ICLR 2024. A
model of per-agent latents learns rewards, ends, legal actions, values and policies
along windows of recorded steps. Targets are made anew from the data alone, by a target
network (after MuZero Unplugged, Schrittwieser et al., 2021): values are n-step returns,
policies learn what a search at every recorded step prefers, by advantage-weighted
policy optimisation (AWPO) of joint actions. Written from the paper's description; where
this differs from what is published:

* `search="one_step"`, the default, looks one step behind K joint actions drawn from the
  policies and learns pi(a) exp(A / temperature) (ROSMO, Liu et al., 2022): what a tree
  finds deep in a model of fixed data, by an optimistic estimate, need not be there.
  `search="tree"` is the published one, `"gumbel"` mctx's.
* Ends and legal actions have heads, and joint actions are legal at all nodes.
* At first the model is learned and policies clone (`clone_updates`): searches in a
  model that knows nothing teach policies what they do not forget. Later cloning
  (`bc_weight`) holds them to the data. Roots have no noise.
* Steps beyond the end of an episode are left out of every loss; numbers that are whole
  after squashing are learned, too (`ops.two_hot`).
* Windows are drawn uniformly, without priorities; a return that reaches the end of its
  window ends there with the value. The target network is the latest copy, not the one
  before. No dropout. Agents have identities instead of a sinusoidal code.

Policies are decentralised: at a root an agent's latent is of its own observation. With
`play="search"` agents search together before they act, which takes all observations.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from logo_jax.checks import ranges
from logo_jax.learners.parts import backup, common, lookahead, unrolled
from logo_jax.learners.parts.lookahead import Parts
from logo_jax.networks import heads
from logo_jax.networks.latent_model import LatentModel, Sizes
from logo_jax.ops import two_hot
from logo_jax.ops.ranks import pick
from logo_jax.search import with_mctx
from logo_jax.types import (
  Actor,
  Batch,
  Learner,
  LearnerContext,
  LearnerState,
  Metrics,
  Observed,
  Params,
  Prelude,
)


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; "published" ones are of the code's script for SMAC."""

  hidden_size: int = 128  # units of an agent's latent and of hidden layers; published
  num_layers: int = 3  # of attention among agents; published
  num_heads: int = 8  # of attention; must divide `hidden_size`; published
  learning_rate: float = 5e-4  # Adam; published
  discount: float = 0.99  # gamma, per step
  window: int = 8  # consecutive steps per sample, more than `unroll`
  unroll: int = 5  # steps that the model is unrolled for; published
  td_steps: int = 5  # of returns, at most as many as the window has left; published
  # Updates before the first search, in which the model is learned and policies clone;
  # 0 published.
  clone_updates: int = 2_000
  # A step ahead of a root (ROSMO), sampled trees with OS(lambda), or Gumbel MuZero.
  search: Literal["one_step", "tree", "gumbel"] = "one_step"
  # Who acts: each agent's policy, or a search of all agents together (centralised).
  play: Literal["policy", "search"] = "policy"
  num_samples: int = 10  # K joint actions per node; published
  num_simulations: int = 50  # of a tree, at least `num_samples`; 100 published
  max_depth: int = 10  # steps below a root at which simulations end
  rho: float = 0.75  # share of returns that a node's value leaves out; 0.25 published
  os_lambda: float = 0.8  # what a return one step further down counts; published
  root_noise: float = 0.0  # share of Dirichlet noise in draws at roots; 0.25 published
  temperature: float = 2.0  # of AWPO, in deviations of advantages; published
  max_weight: float = 3.0  # of AWPO; published
  value_weight: float = 0.25  # of the loss of values; published
  policy_weight: float = 1.0  # of AWPO; published
  consistency_weight: float = 2.0  # of foreseen and seen latents' distance; published
  bc_weight: float = 0.1  # of cloning recorded actions; 0 published
  # Values are in scaled rewards; None: see `parts.common.reward_scale`.
  reward_scale: float | None = None
  # K of values and rewards as distributions over -K to K; None: what returns need.
  support: int | None = None
  target_rate: float = 1.0  # Polyak step; 1: a copy
  target_period: int = 200  # updates between such steps; published
  share_agents: bool = True  # one network for all agents with an agent identity
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner of windows; its params are those of a `LatentModel`.

  Raises:
    ValueError: a number is out of range, or does not fit another one.
    ImportError: search="gumbel" without mctx.
  """
  parts = make_parts(config, context)
  config = parts.config
  optimizer = context.make_optimizer(config.learning_rate)

  def init(key: jax.Array) -> LearnerState:
    params = parts.net.init(key)
    target = jax.tree.map(jnp.copy, params)
    return LearnerState(params, target, optimizer.init(params), jnp.int32(0))

  def descend(
    state: LearnerState, batch: Batch, preferred: unrolled.Preferred | None
  ) -> tuple[LearnerState, Metrics]:
    value = unrolled.values(parts, state.target, batch)
    grads, metrics = jax.grad(unrolled.loss, argnums=1, has_aux=True)(
      parts, state.params, batch, value, preferred
    )
    change, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, change)
    target = backup.follow(params, state.target, state.step, config)
    return LearnerState(params, target, opt_state, state.step + 1), metrics

  def clone(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    del key
    return descend(state, batch, None)

  def update(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    preferred, seen = unrolled.preferences(parts, state.target, batch, key)
    state, metrics = descend(state, batch, preferred)
    return state, metrics | seen

  return Learner(
    *(init, update, _actor(parts), config.window),
    reads_state=False,
    config=config,
    preludes=(Prelude("clone", config.clone_updates, clone),),
  )


def make_parts(config: Config, context: LearnerContext) -> Parts:
  """Checks the configuration, as `make` says, and builds the networks."""
  spec = context.spec
  _check(config)
  config = common.with_reward_scale(config, spec.action_kind, context.statistics)
  if config.support is None:
    config = dataclasses.replace(config, support=_support(config, context))
  assert config.support is not None
  sizes = Sizes(
    *(config.hidden_size, 2 * config.support + 1, config.num_layers, config.num_heads),
    *(config.share_agents, config.compute_dtype),
  )
  net = LatentModel(spec, context.statistics.obs, heads.stochastic(spec), sizes)
  return Parts(config, net)


def _check(config: Config) -> None:
  ones = "hidden_size num_layers num_heads unroll td_steps num_samples max_depth"
  zeros = "clone_updates value_weight policy_weight consistency_weight bc_weight"
  ranges.check(
    "learner.",
    config,
    **dict.fromkeys(ones.split(), "[1"),
    **dict.fromkeys(zeros.split(), "[0"),
    **dict.fromkeys("learning_rate temperature max_weight".split(), "(0"),
    **dict.fromkeys("discount rho root_noise".split(), "[0,1]"),
    **dict.fromkeys("os_lambda target_rate".split(), "(0,1]"),
    target_period="[1",
    **({} if config.reward_scale is None else {"reward_scale": "(0"}),
    **({} if config.support is None else {"support": "[1"}),
  )
  for name, least, why in (
    ("window", config.unroll + 1, f"learner.unroll={config.unroll}"),
    ("num_simulations", config.num_samples, "learner.num_samples"),
  ):
    value = getattr(config, name)
    if value < least:
      raise ValueError(
        f"learner.{name}: must be at least {least} with {why}, got {value}"
      )
  ranges.check_divides("learner.", config, "num_heads", "hidden_size")
  if config.search == "gumbel":
    with_mctx.library()


def _support(config: Any, context: LearnerContext) -> int:
  """The K that the largest return, or reward, needs after squashing."""
  reward = context.statistics.reward
  largest = max(
    *(abs(x) for x in backup.discounted_range(config.discount, context)),
    *(abs(float(x)) for x in (reward.low, reward.high)),
  )
  return two_hot.support(config.reward_scale * largest)


def _actor(parts: Parts) -> Actor:
  net = parts.net

  def by_policy(
    params: Params, carry: tuple, now: Observed, key: jax.Array, greedy: bool = False
  ) -> tuple[tuple, jax.Array]:
    outputs = net.policy(params, net.encode(params, now.obs))
    if greedy:
      return carry, net.head.mode(outputs, now.legal)
    return carry, net.head.sample(outputs, now.legal, key)[0]

  def by_search(
    params: Params, carry: tuple, now: Observed, key: jax.Array, greedy: bool = False
  ) -> tuple[tuple, jax.Array]:
    k_look, k_choose = jax.random.split(key)
    _, found = lookahead.look(parts, params, now.obs, now.legal, k_look, 0.0)
    if greedy:
      best = found.preference.argmax(-1)
    else:
      best = jax.random.categorical(k_choose, jnp.log(found.share + 1e-12))
    return carry, pick(found.action, best, best.ndim)

  searches = parts.config.play == "search"
  return Actor(lambda shape: (), by_search if searches else by_policy, searches)
