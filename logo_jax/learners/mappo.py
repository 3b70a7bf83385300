"""MAPPO in imagination: policies learned on whole rollouts in the model.

Decentralised policies and a centralised value (Yu et al., "The surprising effectiveness
of PPO in cooperative multi-agent games", NeurIPS 2022), learned on rollouts that the
present policies imagine from recorded states. Lambda-returns along rollouts have no
states at which values are asked for but never trained, as Q-learning on imagined rows
has ("edge of reach", Sims et al., 2024). In three phases:

* `clone`: policies imitate the data; what they have come to is kept, and the KL
  divergence from it holds later policies to the data.
* `value`: the value is fitted to rollouts of the clone, lest noise teach the policy.
* `train`: each update imagines rollouts, and takes `num_epochs` passes over them in
  `num_minibatches` steps, of the policy by the clipped surrogate and of the value.

What is played is a moving average of the policies that acted, over a part of the
updates so far (polynomial decay, Shamir & Zhang, 2013): which errors of the model the
last one uses changes from update to update.

Returns use the model's expected discounts, and nothing is earned behind the time limit,
which the value sees coming. Steps weigh as far as the system's weighting trusts them.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from logo_jax.checks import ranges
from logo_jax.learners.parts import backup, common, on_policy
from logo_jax.learners.parts.on_policy import Parts, Sample
from logo_jax.networks import heads
from logo_jax.networks.agent import Trunk
from logo_jax.networks.policy import make_policy
from logo_jax.networks.state_value import StateValue
from logo_jax.ops import ppo
from logo_jax.types import (
  Batch,
  Learner,
  LearnerContext,
  LearnerState,
  Metrics,
  Params,
  Prelude,
  Rollouts,
)

EATS = "rollouts"  # an update is on whole rollouts of the present policies


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; an update consumes `num_starts` rollouts of `horizon` steps."""

  hidden_size: int = 256  # units of both hidden layers of policies and value
  clone_updates: int = 4_000  # on `batch_size` transitions each
  clone_learning_rate: float = 5e-4  # Adam, as of `bc`
  value_updates: int = 60  # on rollouts of the clone
  learning_rate: float = 3e-4  # Adam, of policies
  value_learning_rate: float = 1e-3  # Adam
  num_epochs: int = 4  # passes over the rollouts of an update
  num_minibatches: int = 4  # steps of a pass
  discount: float = 0.99  # gamma, per step
  gae_lambda: float = 0.95  # of lambda-returns
  clip: float = 0.2  # of probability ratios
  # Of the divergence from the clone, in standard advantages; None: 0.05 if actions are
  # discrete, 0.3 if continuous (measured).
  kl_weight: float | None = None
  entropy_weight: float = 0.003  # of the bonus, in standard advantages
  # Part of the updates so far over which the policy that is played averages those that
  # acted; 0: the last one, 1: all alike.
  average_share: float = 0.125
  share_agents: bool = True  # one network for all agents with an agent identity
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner of rollouts with params {"policy", "value", "played"} and target
    {"clone"}.

  Raises:
    ValueError: a number is out of range.
  """
  parts = make_parts(config, context)
  learner, config = _Mappo(parts, context), parts.config
  return Learner(
    init=learner.init,
    update=functools.partial(learner.learn, policy=True),
    actor=parts.policy.actor(lambda params: params["played"]),
    explorer=parts.policy.actor(lambda params: params["policy"]),
    config=config,
    eats=EATS,
    preludes=(
      Prelude("clone", config.clone_updates, learner.clone),
      Prelude(
        "value",
        config.value_updates,
        functools.partial(learner.learn, policy=False),
        eats=EATS,
      ),
    ),
  )


class _Mappo:
  def __init__(self, parts: Parts, context: LearnerContext):
    self.parts, config = parts, parts.config
    self._optimizers = {
      "clone": context.make_optimizer(config.clone_learning_rate),
      "policy": context.make_optimizer(config.learning_rate, clip_norm=0.5),
      "value": context.make_optimizer(config.value_learning_rate, clip_norm=1.0),
    }

  def init(self, key: jax.Array) -> LearnerState:
    k_policy, k_value = jax.random.split(key)
    policy, value = self.parts.policy.init(k_policy), self.parts.value.init(k_value)
    moved = {"clone": policy, "policy": policy, "value": value}
    opt_state = {name: self._optimizers[name].init(x) for name, x in moved.items()}
    target = {"clone": _copy(policy)}
    params = {"policy": policy, "value": value, "played": _copy(policy)}
    return LearnerState(params, target, opt_state, jnp.int32(0))

  def clone(
    self, state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    """The policy imitates; what it has come to is the clone."""
    del key
    loss, grads = jax.value_and_grad(common.imitation_loss, argnums=1)(
      self.parts.policy, state.params["policy"], batch
    )
    state = self._step(state, "clone", "policy", grads)
    cloned = state.params["policy"]
    state = state._replace(
      params=state.params | {"played": _copy(cloned)},
      target={"clone": _copy(cloned)},
    )
    return state, {"learner/bc_loss": loss}

  def learn(
    self, state: LearnerState, rollouts: Rollouts, key: jax.Array, policy: bool
  ) -> tuple[LearnerState, Metrics]:
    """Several passes over rollouts, of the value and, if so, of the policy."""
    config = self.parts.config
    samples, seen = on_policy.prepare(self.parts, state, rollouts)
    state, metrics = ppo.passes(
      functools.partial(self._descend, policy),
      *(state, samples, config.num_epochs, config.num_minibatches, key),
    )
    if policy:
      step = state.step + 1  # of policies, which preludes do not count
      now, played = state.params["policy"], state.params["played"]
      rate = 1 / (1 + config.average_share * step)
      played = optax.incremental_update(now, played, rate)
      state = state._replace(params=state.params | {"played": played}, step=step)
    return state, metrics | seen

  def _descend(
    self, policy: bool, state: LearnerState, sample: Sample
  ) -> tuple[LearnerState, Metrics]:
    loss, grads = jax.value_and_grad(on_policy.value_loss, argnums=1)(
      self.parts, state.params["value"], sample
    )
    state, metrics = self._step(state, "value", "value", grads), {}
    if policy:
      grads, metrics = jax.grad(on_policy.policy_loss, argnums=1, has_aux=True)(
        self.parts, state.params["policy"], sample
      )
      state = self._step(state, "policy", "policy", grads)
    return state, metrics | {"learner/value_loss": loss}

  def _step(
    self, state: LearnerState, name: str, part: str, grads: Params
  ) -> LearnerState:
    """One step of an optimizer on a part of the parameters."""
    params, opt_state = dict(state.params), dict(state.opt_state)
    change, opt_state[name] = self._optimizers[name].update(
      grads, opt_state[name], params[part]
    )
    params[part] = optax.apply_updates(params[part], change)
    return state._replace(params=params, opt_state=opt_state)


def _copy(tree: Params) -> Params:
  """Donation does not allow the same array twice."""
  return jax.tree.map(jnp.copy, tree)


def make_parts(config: Config, context: LearnerContext) -> Parts:
  """Checks the configuration, as `make` says, and builds the networks."""
  config = common.resolve(
    config, context.spec.action_kind, kl_weight={"discrete": 0.05, "continuous": 0.3}
  )
  ranges.check(
    "learner.",
    config,
    **dict.fromkeys("hidden_size num_epochs num_minibatches".split(), "[1"),
    **dict.fromkeys("clone_updates value_updates".split(), "[0"),
    **dict.fromkeys(
      "clone_learning_rate learning_rate value_learning_rate".split(), "(0"
    ),
    **dict.fromkeys("kl_weight entropy_weight".split(), "[0"),
    **dict.fromkeys("discount gae_lambda average_share".split(), "[0,1]"),
    clip="(0",
  )
  spec, statistics = context.spec, context.statistics
  trunk = Trunk(config.hidden_size, config.share_agents, dtype=config.compute_dtype)
  policy = make_policy(spec, statistics.obs, heads.stochastic(spec), trunk)
  bounds = backup.discounted_range(config.discount, context)
  value = StateValue(
    *(statistics.state, bounds, spec.max_steps, config.hidden_size),
    dtype=config.compute_dtype,
  )
  return Parts(config, policy, value)
