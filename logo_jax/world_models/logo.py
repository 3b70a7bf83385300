"""The local-to-global world model (LOGO, AAMAS 2026, Section 4.2).

Local predictive models guess every agent's next observation (Eq. 2); a deductive model
puts the guesses together into the next state and the reward (Eq. 3 and 4); an auxiliary
encoder predicts the state on a second path (Eq. 6), and the two paths' discrepancy is
the uncertainty (Eq. 5). All losses are means per dimension in standardised units, over
the features that vary and are no padding.

The networks read entities where the environment says how its vectors split into them
(`network="entity"`), or flat vectors. With flat vectors there are two readings:
`literal` is what the equations say, the state and reward are deduced from the predicted
observations alone; `context`, the default, also shows the deductive decoder the current
state and joint action, deduces the increment of the state and, in a network of its own,
the reward from the deduced state, learns on true next observations too, and shows the
local models the joint action. On SMAX the literal form can be worse than predicting
that nothing changes, since the joint observation does not determine the state and the
reward is a difference between two states. Networks of entities are of the second kind;
all agents share them, and local predictions and auxiliary path share a trunk, the state
encoder h_s of Fig. 2.

Additions that the paper needs but does not give: heads for termination and, of discrete
actions, for which are legal; bounded log-variances; the clipping box of the data. Left
out: the reward of Eq. 6, which nothing reads.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.networks.entity_models import EntityNetworks
from logo_jax.networks.flat_models import LocalToGlobal, Sizes
from logo_jax.networks.now import Now
from logo_jax.types import (
  EnvSpec,
  Metrics,
  Params,
  Statistics,
  Transition,
  WorldModel,
)
from logo_jax.world_models.parts import dynamics, networks
from logo_jax.world_models.parts.dynamics import Dynamics
from logo_jax.world_models.parts.frame import After, Frame, Said


@dataclasses.dataclass(frozen=True)
class Config:
  """LOGO's world model; the defaults are the reading `context`."""

  network: Literal["entity", "mlp"] = "mlp"  # "entity" reads the environment's layout
  hidden_size: int = 256  # units; Table 8
  # What the deductive decoder R_d reads beside the joint next observation (Eq. 3).
  deduce_input: Literal["obs", "obs_state_action"] = "obs_state_action"
  # Which actions a local model sees: the agent's own, as in Eq. 2, or everybody's, on
  # which an observation of many agents depends.
  local_action: Literal["own", "joint"] = "joint"
  share_local: bool = False  # one local model for all agents; Appendix D
  # Eq. 4's gradient into the predictive encoder. With deduce_input="obs", where R_d
  # says the reward, it turns predicted observations into a code for the reward.
  deduce_gradient: bool = False
  reconstruct_weight: float = 0.0  # second term of Eq. 2
  # First terms of Eq. 2 and 3, and Eq. 6: exponent of the predicted variance by which
  # each likelihood's gradient is multiplied (beta-NLL, Seitzer et al., 2022); 0 is the
  # plain likelihood, 1 has the gradient of a squared error for the mean.
  variance_exponent: float = 0.5
  encode_weight: float = 1.0  # of E_d and of R_d on what it says, Eq. 3
  # R_d's error on the true next observations, beside those on E_d's (Eq. 3) and E_p's
  # (Eq. 4). Without it R_d never sees a true observation and reads none.
  deduce_real_weight: float = 1.0
  # Share of the auxiliary path in the predicted state; 0 deduces it alone.
  auxiliary_share: float = 0.0
  reward_weight: float = 1.0  # of the reward beside the state in Eq. 3 and 4
  termination_class_weight: float = 5.0  # of terminations in their cross entropy
  # Of the layers; parameters stay float32.
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, spec: EnvSpec, statistics: Statistics) -> WorldModel:
  """Builds the model.

  Args:
    config: sizes and readings.
    spec: of the environment.
    statistics: of the training split, for standardisation and the clipping box.

  Returns:
    Pure functions on transitions with any leading batch axes.

  Raises:
    ValueError: a number is out of range, or a reading does not fit the networks.
  """
  ranges.check(
    "model.",
    config,
    hidden_size="[1",
    reconstruct_weight="[0",
    variance_exponent="[0,1]",
    encode_weight="[0",
    deduce_real_weight="[0",
    auxiliary_share="[0,1]",
    reward_weight="[0",
    termination_class_weight="(0",
  )
  frame, codecs = networks.frame(config, spec, statistics)
  sizes = Sizes(
    hidden_size=config.hidden_size,
    dtype=config.compute_dtype,
    deduce_from_obs_alone=config.deduce_input == "obs",
    local_sees_joint_action=config.local_action == "joint",
    share_local=config.share_local,
    reconstructs=config.reconstruct_weight > 0,
    encodes=config.encode_weight > 0,
  )
  if config.network == "entity":
    _check_entity(config)
    nets = EntityNetworks(sizes, spec, codecs.state, codecs.obs, deductive=True)
  else:
    nets = LocalToGlobal(sizes, spec, codecs.state, codecs.obs, codecs.point)
  logo = _Logo(config, frame, codecs.point, nets, networks.heads(nets, spec))
  said = lambda p, now: logo.say(p, now)[0]  # noqa: E731
  step = Dynamics(2, nets.init, said, logo.losses, logo.heads)
  return dynamics.make(frame, step, logo.diagnose)


def _check_entity(config: Config) -> None:
  """Refuses readings that networks of entities do not have."""
  wanted = {
    "deduce_input": "obs_state_action",
    "local_action": "joint",
    "share_local": False,
    "reconstruct_weight": 0.0,
  }
  for name, value in wanted.items():
    if getattr(config, name) != value:
      raise ValueError(
        f"model.{name}: with model.network 'entity' must be {value!r}, got "
        f"{getattr(config, name)!r}"
      )


@dataclasses.dataclass(frozen=True)
class _Logo:
  config: Config
  frame: Frame
  point: Codec  # of the deduced state
  nets: Any
  heads: Callable

  def say(self, params: Params, now: Now) -> tuple[Said, Any, Any]:
    """The dashed path of Fig. 2: predict locally, deduce globally, compare.

    Returns:
      What is said; the outputs of E_p and of E_ps.
    """
    nets, frame = self.nets, self.frame
    embedding = nets.trunk(params, now)
    obs_output = nets.obs(params, embedding, now)
    auxiliary = nets.state(params, embedding, now)
    obs = frame.obs.decode(obs_output, now.obs)
    # Heads learn on what they will read in rollouts: predictions, held fixed.
    fixed_obs = jax.lax.stop_gradient(obs)
    deduced = self.point.decode(nets.deduce(params, obs, now), now.state)
    second = frame.state.decode(auxiliary, now.state)
    state = _between(deduced, second, self.config.auxiliary_share)
    fixed_state = jax.lax.stop_gradient(state)
    follows = self.heads(params, fixed_obs, fixed_state, now)
    views = [frame.state.standardised(x) for x in (deduced, second)]
    std = jnp.sqrt(frame.state.variance(auxiliary, now.state))
    said = Said(
      obs=obs,
      state=state,
      **follows._asdict(),
      mean=jnp.stack(views, -2)[..., None, :],
      # The deductive path has no variance of its own.
      std=jnp.stack([jnp.zeros_like(std), std], -2)[..., None, :],
    )
    return said, obs_output, auxiliary

  def losses(self, params: Params, now: Now, after: After):
    """L_p + L_d + L_Rd + L_Eps (Eq. 2, 3, 4, 6)."""
    said, obs_output, auxiliary = self.say(params, now)
    losses = {
      "predict": self.frame.obs.loss(obs_output, now.obs, after.obs),
      "auxiliary": self.frame.state.loss(auxiliary, now.state, after.state),
      "deduce_predicted": self._deduce_loss(params, said.obs, now, after),
    }
    if self.config.auxiliary_share:  # then no deduced state is what rollouts read
      error = (said.reward - after.reward) ** 2
      losses["reward"] = self.config.reward_weight * error
    if self.config.encode_weight:
      output = self.nets.encode(params, after.state, after.reward)
      blank = jax.tree.map(jnp.zeros_like, now.obs)
      encoded = self.frame.obs.decode(output, blank)
      deduced = self._deduce_loss(params, encoded, now, after, fixed=False)
      weight = self.config.encode_weight
      losses["encode"] = weight * self.frame.obs.loss(output, blank, after.obs)
      losses["deduce"] = weight * deduced
    if self.config.deduce_real_weight:
      real = self._deduce_loss(params, after.obs, now, after)
      losses["deduce_real"] = self.config.deduce_real_weight * real
    if self.config.reconstruct_weight:
      losses["reconstruct"] = self.config.reconstruct_weight * self._reconstruct_loss(
        params, said.obs, now
      )
    return losses, said

  def _deduce_loss(
    self,
    params: Params,
    next_obs: Tokens,
    now: Now,
    after: After,
    fixed: bool | None = None,
  ) -> jax.Array:
    """The error of what any next observations lead to (Eq. 3 and 4).

    Of the state, and of the reward; with context the latter has a network of its own,
    which reads the deduced state as it is and moves no other network.
    """
    if fixed is None:
      fixed = not self.config.deduce_gradient
    if fixed:
      next_obs = jax.lax.stop_gradient(next_obs)
    output = self.nets.deduce(params, next_obs, now)
    state = jax.lax.stop_gradient(self.point.decode(output, now.state))
    reward = self.nets.reward(params, next_obs, state, now)
    error = self.point.loss(output, now.state, after.state)
    return error + self.config.reward_weight * (reward - after.reward) ** 2

  def _reconstruct_loss(self, params: Params, next_obs: Tokens, now: Now) -> jax.Array:
    """Second term of Eq. 2: R_p recovers (o_t, a_t) from the prediction."""
    obs, action = self.nets.reconstruct(params, next_obs)
    said = Tokens(obs[..., None, :], now.obs.present)
    error = self.frame.obs.error(said, now.obs)
    return error + jnp.mean((now.action - action) ** 2, (-2, -1))

  def diagnose(self, params: Params, t: Transition) -> Metrics:
    """The leak test: R^2 of the reward deduced from predicted minus true observations.

    Near 0 or below: predicted observations are observations. Far above 0: they have
    become a code that only the deductive networks can read.
    """
    now, after = self.frame.now(t), self.frame.after(t)

    def reward_r2(next_obs: Tokens) -> jax.Array:
      output = self.nets.deduce(params, next_obs, now)
      state = self.point.decode(output, now.state)
      reward = self.nets.reward(params, next_obs, state, now)
      residual = jnp.mean((after.reward - reward) ** 2)
      return 1.0 - residual / jnp.maximum(jnp.var(after.reward), 1e-12)

    predicted, true = reward_r2(self.say(params, now)[0].obs), reward_r2(after.obs)
    return {
      "reward_r2_predicted_obs": predicted,
      "reward_r2_true_obs": true,
      "leak": predicted - true,
    }


def _between(first: Tokens, second: Tokens, share: float) -> Tokens:
  """Expectations between two: `share` of the second."""
  if share == 0:
    return first
  return jax.tree.map(lambda x, y: (1 - share) * x + share * y, first, second)
