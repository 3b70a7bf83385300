"""OMAR: offline multi-agent RL with actor rectification (Pan et al., ICML 2022).

Independent conservative learners: each agent values its own actions alone, averaged
over whatever the others did in the data, so that data which miscoordinate mislead it;
joint values (MACQL, CFCQL) exist for that reason. An agent's policy follows the
gradient of its value and, lest it end in a poor local optimum, imitates the best action
that a search of the value finds:

  c |pi_i - a_i|^2 - (1 - c) Q_i(pi_i)        a_i: the better of search and policy

Continuous actions: twin values Q_i(o_i, a_i), deterministic policies, the search of
`ops.cem`, and CQL over samples of the agent's own action. The published code subtracts
the density of normal samples where CQL subtracts its logarithm; `push_down="density"`
does as well. It does not divide Q by its mean modulus either (`normalise_q`): where
values are in the hundreds, as in MuJoCo, the search then counts only if c is all but 1.

Discrete actions follow OMAR as published in CFCQL's repository (Shao et al., 2023): a
dueling value of state and observation, targets by the target policy's best action, and

  (1 - c) [-(Q_i(a) - sum_a' pi_i Q_i) log pi_i(a)] + c |pi_i - onehot(argmax Q_i)|^2

at recorded actions a. All actions can be tried, so the search is an arg max; that code
has its sampling search commented out, and there is none here. Further differences:

* The two heads are independent; there, the second reuses the first one's output layers.
* Soft and arg maxima are over legal actions; there over all (`lse_on="all"`).
* log pi_i is floored only where its factor is negative; there always, by 1e-5, so that
  a policy that is sure of a worse action can hardly change.
* The value takes one step per update on all rows; there one for each index of time.

Both: the Bellman error and the policy's own terms are on all rows, the conservative
term and the imitation of the search on real rows; squared errors are not halved, so
that `cql_weight` means what it does in the published code.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from logo_jax.checks import ranges
from logo_jax.learners.parts import backup, common, local
from logo_jax.learners.parts.conservative import real_weight
from logo_jax.learners.parts.local import Parts
from logo_jax.networks import heads
from logo_jax.networks.local_value import make_action_values, make_local_value
from logo_jax.networks.policy import make_policy
from logo_jax.ops import cem
from logo_jax.types import Batch, Learner, LearnerContext, LearnerState, Metrics, Params


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; "published" refers to HalfCheetah and SMAC."""

  hidden_size: int = 256  # units of both hidden layers
  learning_rate: float = 3e-4  # Adam; published, 1e-3 if discrete
  discount: float = 0.99  # gamma, per step; the continuous code in effect has 0.95
  # alpha; None: 5 if actions are discrete, 1 if continuous; published, the latter for
  # medium data.
  cql_weight: float | None = None
  # c, in [0, 1]; None: 0.5 discrete, 0.7 continuous. At 0 nothing is searched:
  # independent CQL learners.
  search_weight: float | None = None
  # What values read beside actions; None: obs_state if actions are discrete, else obs.
  # Only discrete values can read the state, which published code has them do.
  value_input: Literal["obs", "obs_state"] | None = None
  # How the search moves; "softmax" is what the paper describes. Continuous only.
  search_update: Literal["elites", "softmax"] = "elites"
  search_iterations: int = 2  # continuous only
  search_samples: int = 20  # draws per iteration
  search_elites: int = 5  # best draws, which the next iteration is around
  num_samples: int = 5  # of each kind in CQL, continuous only; published: 10
  # What is subtracted from values of normal samples in CQL; continuous only.
  push_down: Literal["log_density", "density"] = "log_density"
  lse_on: Literal["legal", "all"] = "legal"  # CQL's soft maximum; discrete only
  # Divide the policy's own term by mean |Q|, of each device's share of the batch.
  normalise_q: bool = True
  action_penalty: float = 1e-3  # of the mean squared action; continuous only; published
  action_noise: float = 0.2  # deviation of sampled continuous actions; published
  target_noise: float = 0.0  # the same in targets
  # Values are in scaled rewards; None: see `parts.common.reward_scale`.
  reward_scale: float | None = None
  clip_target: bool = True  # to the range of returns that the data allow
  td_lambda: float = 0.0  # of TD(lambda) targets along windows; 0: one step
  num_heads: int = 2  # values, of which targets take the least
  target_rate: float = 0.005  # Polyak step
  target_period: int = 1  # updates between such steps
  share_agents: bool = True  # one network for all agents with an agent identity
  recurrent: bool = False  # GRU policies; needs a window
  window: int = 1  # consecutive steps per sample
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner with state params {"policy", "value"}.

  Raises:
    ValueError: a number is out of range, or a choice does not fit the actions.
  """
  parts = make_parts(config, context)
  config = parts.config
  networks = {"policy": parts.policy, "value": parts.value}
  optimizers = {name: context.make_optimizer(config.learning_rate) for name in networks}

  def init(key: jax.Array) -> LearnerState:
    keys = dict(zip(networks, jax.random.split(key), strict=True))
    params = {name: networks[name].init(keys[name]) for name in networks}
    opt_state = {name: optimizers[name].init(params[name]) for name in networks}
    target = jax.tree.map(jnp.copy, params)  # a copy: the state is donated
    return LearnerState(params, target, opt_state, jnp.int32(0))

  def update(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    grads, metrics = jax.grad(losses, argnums=1, has_aux=True)(
      parts, state.params, state.target, batch, key
    )
    params, opt_state = dict(state.params), dict(state.opt_state)
    for name, optimizer in optimizers.items():
      step, opt_state[name] = optimizer.update(
        grads[name], opt_state[name], params[name]
      )
      params[name] = optax.apply_updates(params[name], step)
    target = backup.follow(params, state.target, state.step, config)
    return LearnerState(params, target, opt_state, state.step + 1), metrics

  actor = parts.policy.actor(lambda params: params["policy"])
  return Learner(
    *(init, update, actor, config.window),
    reads_state=config.value_input == "obs_state",
    config=config,
  )


def make_parts(config: Any, context: LearnerContext) -> Parts:
  """Checks the configuration and builds the networks.

  Raises:
    ValueError: a number is out of range, or a choice does not fit the actions.
  """
  spec, statistics = context.spec, context.statistics
  config = common.with_reward_scale(config, spec.action_kind, statistics)
  config = _check(config, spec.action_kind)
  trunk = common.make_trunk(config)
  head = heads.deterministic_if_continuous(spec, config.action_noise)
  sizes = (spec, statistics, trunk, config.num_heads)
  if spec.action_kind == "discrete":
    value = make_action_values(*sizes, config.value_input == "obs_state")
  else:
    value = make_local_value(*sizes)
  return Parts(
    config=config,
    policy=make_policy(spec, statistics.obs, head, trunk),
    value=value,
    search=cem.SearchConfig(
      config.search_update,
      config.search_iterations,
      config.search_samples,
      config.search_elites,
    ),
    value_range=backup.value_range(config, context),
  )


def losses(
  parts: Parts,
  params: dict[str, Params],
  target: dict[str, Params],
  batch: Batch,
  key: jax.Array,
) -> tuple[jax.Array, Metrics]:
  """Loss of the values plus that of the policies; neither moves the other's networks.

  Args:
    parts: the networks.
    params: {"policy", "value"}.
    target: the same of the target networks.
    batch: transitions [*b].
    key: of samples.

  Returns:
    The sum of both losses, and metrics.
  """
  k_value, k_policy = jax.random.split(key)
  outputs = parts.policy.outputs_both(params["policy"], batch.transition)
  held = jax.lax.stop_gradient(outputs)
  value = local.value_terms(parts, params["value"], target, batch, held, k_value)
  value_loss, metrics = _value_loss(parts.config, value, batch)
  frozen = jax.lax.stop_gradient(params["value"])
  policy = local.policy_terms(parts, frozen, batch, outputs[0], k_policy)
  policy_loss, more = _policy_loss(parts.config, policy, batch)
  return value_loss + policy_loss, metrics | more


def _value_loss(
  config: Any, terms: local.ValueTerms, batch: Batch
) -> tuple[jax.Array, Metrics]:
  """The squared Bellman error plus alpha times the conservative gap."""
  weight = batch.weight[..., None]  # over agents
  error = terms.data_q - terms.target_q
  bellman = jnp.mean(weight * error**2)
  gap = jnp.mean(real_weight(batch)[..., None] * (terms.down - terms.data_q))
  scale = config.reward_scale
  metrics = {
    "learner/bellman_error": 0.5 * bellman / scale**2,  # halved, as other learners' are
    "learner/cql_gap": gap / scale,
    "learner/q": jnp.mean(weight * terms.data_q) / scale,
    "learner/q_target": jnp.mean(weight * terms.target_q) / scale,
    "learner/targets_clipped": jnp.mean(weight * terms.clipped),
  }
  # Heads learn apart: sum over them, mean over agents and the batch.
  return config.num_heads * (bellman + config.cql_weight * gap), metrics


def _policy_loss(
  config: Any, terms: local.PolicyTerms, batch: Batch
) -> tuple[jax.Array, Metrics]:
  """c |pi - a|^2 - (1 - c) times what ascends the value, plus a penalty."""
  weight, c = batch.weight[..., None], config.search_weight
  mean_q = jnp.mean(weight * jnp.abs(terms.q)) if config.normalise_q else 1.0
  ascent = jnp.mean(weight * terms.ascent) / jax.lax.stop_gradient(mean_q + 1e-6)
  distance = jnp.mean(real_weight(batch)[..., None] * terms.distance)
  penalty = jnp.mean(weight * terms.penalty)
  metrics = {
    "learner/policy_q": jnp.mean(weight * terms.q) / config.reward_scale,
    "learner/search_distance": distance,
    "learner/search_gain": jnp.mean(weight * terms.gain) / config.reward_scale,
  }
  return c * distance - (1 - c) * ascent + config.action_penalty * penalty, metrics


def _check(config: Any, action_kind: str) -> Any:
  """The configuration with its None filled in."""
  only = {
    "push_down": ("density", "continuous"),
    "lse_on": ("all", "discrete"),
    "value_input": ("obs_state", "discrete"),
  }
  for name, (choice, kind) in only.items():
    if getattr(config, name) == choice and action_kind != kind:
      raise ValueError(
        f"learner.{name}: {choice!r} needs {kind} actions, got {action_kind!r}"
      )
  common.check_td_lambda(config)
  config = common.resolve(
    config,
    action_kind,
    cql_weight={"discrete": 5.0, "continuous": 1.0},
    search_weight={"discrete": 0.5, "continuous": 0.7},
    value_input={"discrete": "obs_state", "continuous": "obs"},
  )
  ranges.check(
    "learner.",
    config,
    discount="[0,1]",
    cql_weight="[0",
    search_weight="[0,1]",
    search_iterations="[1",
    search_samples="[1",
    num_samples="[1",
    action_penalty="[0",
    action_noise="(0",
    target_noise="[0",
    reward_scale="(0",
    td_lambda="[0,1]",
    num_heads="[1",
    target_rate="(0,1]",
    target_period="[1",
  )
  if config.search_update == "softmax":
    return config
  ranges.check("learner.", config, search_elites="[2")
  if config.search_elites > config.search_samples:
    raise ValueError(
      f"learner.search_elites: must be at most learner.search_samples="
      f"{config.search_samples}, got {config.search_elites}"
    )
  return config
