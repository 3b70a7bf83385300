"""OMIGA: implicit global-to-local value regularisation (Wang et al., NeurIPS 2023).

Joint values are linear in local ones, Q = sum_i w_i(s) Q_i(o_i, a_i) + b(s) and V
likewise, with the same w >= 0 and b. Regularised towards the data's joint policy, the
best policy is then a product of local ones,

  pi_i(a_i | o_i) ~ data_i(a_i | o_i) exp(z_i),  z_i = (w_i / alpha) (Q_i - V_i),

whose three losses read no action but those of the batch:

* Q and the mixer: the squared Bellman error, with the target nets' mixed V(s').
* V: where its slope is 0, exp(z_i) is 1 on average, which makes V_i a soft maximum.
* Policies: cloning of the recorded actions with weight exp(z_i).

Local values are means over what the others did in the data: with a small alpha agents
answer the data, not each other, and may all do what one of them had left to do.

Q, V and the mixer have targets, the policy has none. z reads the target Q and mixer but
the current V, and is clipped to +-10: "learner/clipped" is the share of such z and
should be about 0; if not, alpha is too small for the unit of the values.

With imagined data, Q and V learn from the whole batch: imagined actions are the
policy's own, hence in its sample. The policy imitates real rows alone. Weighted
imitation of its own imagined actions would regularise it towards itself: at each update
it could move on from where it is, and the bound on its distance from the data, which is
what the method is about, would be lost (`policy_on="batch"` does it).

Deviations: rewards are scaled, targets clipped to the data's range of returns, weights
of imitation are at most 100, not e^10, as one recorded action could otherwise outweigh
the batch; categorical policies are over legal actions, not over all.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax.checks import ranges
from logo_jax.learners.parts import backup, common
from logo_jax.learners.parts.conservative import real_weight
from logo_jax.networks import heads
from logo_jax.networks.agent import AgentNetwork, make_agent_network
from logo_jax.networks.linear_mixer import LinearMixer, LinearWeights
from logo_jax.networks.mlp import apply
from logo_jax.networks.policy import Policy, make_policy
from logo_jax.ops import actions, expectile, td
from logo_jax.ops.standardise import standardise
from logo_jax.types import (
  Batch,
  Learner,
  LearnerContext,
  LearnerState,
  Metrics,
  Params,
  Statistics,
  Transition,
)

_LIMIT = 10.0  # of z; published code


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters."""

  hidden_size: int = 256  # units; published code
  learning_rate: float = 5e-4  # Adam, of all networks; published code
  discount: float = 0.99  # gamma, per step
  # Regularisation towards the data, in the unit of scaled values; None: 1 if discrete
  # (0.3 to 3 are alike; measured on SMAX 2s3z), 10 if continuous (published).
  alpha: float | None = None
  max_weight: float = 100.0  # of imitation; published: e^10, the largest there is
  # Divide V's loss by its largest term in the batch, as published: batches with a large
  # z then count less, and several devices do not agree on the divisor.
  shift_value_loss: bool = False
  # Rows that the policy imitates: recorded ones, or imagined ones too.
  policy_on: Literal["real", "batch"] = "real"
  # Values are in scaled rewards; None: see `parts.common.reward_scale`.
  reward_scale: float | None = None
  clip_target: bool = True  # to the range of returns that the data allow
  target_rate: float = 0.005  # Polyak step
  target_period: int = 1  # updates between such steps
  # Largest norm of gradients; None: as all learners'. Published: 1.
  clip_norm: float | None = None
  share_agents: bool = True  # one network for all agents with an agent identity
  recurrent: bool = False  # GRU policies; needs a window of several steps
  window: int = 1  # consecutive steps per sample
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


class Parts(NamedTuple):
  """Built from the configuration; static."""

  config: Any  # a `Config` with its None filled in
  policy: Policy
  q: AgentNetwork
  v: AgentNetwork
  mixer: LinearMixer
  statistics: Statistics
  value_range: tuple[float, float] | None


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: hyper-parameters.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner with state params {"policy", "q", "v", "mixer"}.

  Raises:
    ValueError: a number is out of range, or memory without a window to learn it on.
  """
  parts = make_parts(config, context)
  config = parts.config
  clip = {} if config.clip_norm is None else {"clip_norm": config.clip_norm}
  optimizer = context.make_optimizer(config.learning_rate, **clip)
  # Each of the three has a state, and a norm of its gradients, of its own.
  groups = (("policy",), ("q", "mixer"), ("v",))

  def init(key: jax.Array) -> LearnerState:
    k_policy, k_q, k_v, k_mixer = jax.random.split(key, 4)
    state = jnp.zeros(parts.statistics.state.mean.shape)
    params = {
      "policy": parts.policy.init(k_policy),
      "q": parts.q.init(k_q),
      "v": parts.v.init(k_v),
      "mixer": parts.mixer.init(k_mixer, state),
    }
    target = {k: jax.tree.map(jnp.copy, params[k]) for k in ("q", "v", "mixer")}
    opt_state = tuple(optimizer.init({k: params[k] for k in g}) for g in groups)
    return LearnerState(params, target, opt_state, jnp.int32(0))

  def update(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    del key
    grads, metrics = jax.grad(losses, argnums=1, has_aux=True)(
      parts, state.params, state.target, batch
    )
    params: dict[str, Params] = dict(state.params)
    opt_state = []
    for group, own in zip(groups, state.opt_state, strict=True):
      current, slope = ({k: x[k] for k in group} for x in (params, grads))
      step, own = optimizer.update(slope, own, current)
      for k in group:
        params[k] = optax.apply_updates(params[k], step[k])
      opt_state.append(own)
    current = {k: params[k] for k in state.target}
    target = backup.follow(current, state.target, state.step, config)
    return LearnerState(params, target, tuple(opt_state), state.step + 1), metrics

  actor = parts.policy.actor(lambda params: params["policy"])
  return Learner(init, update, actor, config.window, config=config)


def make_parts(config: Any, context: LearnerContext) -> Parts:
  """Checks the configuration, as `make` says, and builds the networks."""
  spec, statistics = context.spec, context.statistics
  config = common.with_reward_scale(config, spec.action_kind, statistics)
  config = _check(config, spec.action_kind)
  trunk = common.make_trunk(config)
  plain = trunk._replace(recurrent=False)
  if spec.action_kind == "discrete":
    in_size, out_size = spec.obs_dim, spec.action_dim
  else:
    in_size, out_size = spec.obs_dim + spec.action_dim, 1
  return Parts(
    config,
    policy=make_policy(spec, statistics.obs, heads.stochastic(spec), trunk),
    q=make_agent_network(spec.num_agents, in_size, out_size, plain),
    v=make_agent_network(spec.num_agents, spec.obs_dim, 1, plain),
    mixer=LinearMixer(spec.num_agents, dtype=trunk.dtype),
    statistics=statistics,
    value_range=backup.value_range(config, context),
  )


def _check(config: Config, action_kind: str) -> Any:
  default = {"discrete": 1.0, "continuous": 10.0}
  config = common.resolve(config, action_kind, alpha=default)
  given = {} if config.clip_norm is None else {"clip_norm": "(0"}
  ranges.check(
    "learner.",
    config,
    alpha="(0",
    max_weight="(0",
    reward_scale="(0",
    discount="[0,1]",
    target_rate="(0,1]",
    target_period="[1",
    **given,
  )
  return config


def losses(
  parts: Parts, params: dict[str, Params], target: dict[str, Params], batch: Batch
) -> tuple[jax.Array, Metrics]:
  """The sum of the three losses and metrics; none moves another's networks.

  Args:
    parts: the networks.
    params: {"policy", "q", "v", "mixer"}.
    target: {"q", "v", "mixer"}.
    batch: transitions [*b].
  """
  t = batch.transition
  z, v = exponents(parts, params["v"], target, t)
  q_loss, metrics = _q_loss(parts, params, target, batch)
  v_loss = _v_loss(parts.config, z, v, batch)
  policy_loss, more = _policy_loss(parts, params["policy"], z, batch)
  clipped = (jnp.abs(z) >= _LIMIT).mean(-1)
  metrics |= more | {
    "learner/v_loss": v_loss,
    "learner/policy_loss": policy_loss,
    "learner/clipped": jnp.mean(batch.weight * clipped),
  }
  return q_loss + v_loss + policy_loss, metrics


def exponents(
  parts: Parts, v_params: Params, target: dict[str, Params], t: Transition
) -> tuple[jax.Array, jax.Array]:
  """z_i, clipped, and w_i V_i / alpha, both [*b, N]; only V has a gradient."""
  share = _mix(parts, target["mixer"], t.state).weight / parts.config.alpha
  v = _v(parts, v_params, t.obs)
  z = share * (_q(parts, target["q"], t) - v)
  return jnp.clip(z, -_LIMIT, _LIMIT), share * v


def _q_loss(
  parts: Parts, params: dict[str, Params], target: dict[str, Params], batch: Batch
) -> tuple[jax.Array, Metrics]:
  """The squared Bellman error of the mixed Q; the next value is the mixed V."""
  config, t = parts.config, batch.transition
  q = _mix(parts, params["mixer"], t.state).mix(_q(parts, params["q"], t))
  next_weights = _mix(parts, target["mixer"], t.next_state)
  next_v = next_weights.mix(_v(parts, target["v"], t.next_obs))
  reward, discount = config.reward_scale * t.reward, config.discount * t.discount
  target_q = td.one_step_target(reward, discount, next_v, parts.value_range)
  unclipped = td.one_step_target(reward, discount, next_v)
  clipped = backup.outside(unclipped, parts.value_range)
  loss = jnp.mean(batch.weight * jnp.square(q - target_q))
  scale = config.reward_scale
  metrics = {
    "learner/bellman_error": 0.5 * loss / scale**2,
    "learner/q": jnp.mean(batch.weight * q) / scale,
    "learner/q_target": jnp.mean(batch.weight * target_q) / scale,
    "learner/targets_clipped": jnp.mean(batch.weight * clipped),
  }
  return loss, metrics


def _v_loss(config: Any, z: jax.Array, v: jax.Array, batch: Batch) -> jax.Array:
  """The soft maximum's loss."""
  counted = jnp.where(batch.weight[..., None] > 0, z, -_LIMIT).max()
  z_max = jnp.maximum(-1.0, counted) if config.shift_value_loss else jnp.zeros(())
  each = expectile.implicit_value_loss(z, v, z_max)
  return jnp.mean(batch.weight * each.mean(-1))


def _policy_loss(
  parts: Parts, params: Params, z: jax.Array, batch: Batch
) -> tuple[jax.Array, Metrics]:
  """Imitation with weights exp(z_i)."""
  config, policy = parts.config, parts.policy
  row = real_weight(batch) if config.policy_on == "real" else batch.weight
  weight = expectile.clipped_exponential(jax.lax.stop_gradient(z), _LIMIT)
  weight = jnp.minimum(weight, config.max_weight)
  cost = policy.imitation(params, batch.transition)
  metrics = {
    "learner/bc_loss": jnp.mean(row * cost.mean(-1)),
    "learner/policy_weight": jnp.mean(row * weight.mean(-1)),
  }
  return jnp.mean(row * (weight * cost).mean(-1)), metrics


def _q(parts: Parts, params: Params, t: Transition) -> jax.Array:
  """Local values of the recorded actions, [*b, N]."""
  obs = standardise(t.obs, parts.statistics.obs)
  if jnp.issubdtype(t.action.dtype, jnp.integer):
    return actions.select(parts.q.apply(params, obs), t.action)
  return parts.q.apply(params, jnp.concatenate([obs, t.action], -1))[..., 0]


def _v(parts: Parts, params: Params, obs: jax.Array) -> jax.Array:
  """Local values of observations, [*b, N]."""
  return parts.v.apply(params, standardise(obs, parts.statistics.obs))[..., 0]


def _mix(parts: Parts, params: Params, state: jax.Array) -> LinearWeights:
  return apply(parts.mixer, params, standardise(state, parts.statistics.state))
