"""The local-to-global world model (LOGO, AAMAS 2026, Section 4.2).

Local predictive models guess every agent's next observation (Eq. 2); a deductive model
puts the guesses together into the next state and the reward (Eq. 3 and 4); an auxiliary
encoder predicts the state on a second path (Eq. 6), and the two paths' discrepancy is
the uncertainty (Eq. 5). All losses are means per dimension in standardised units, over
the features that vary and are no padding.

Two presets. `literal` is what the equations say: the state and reward are deduced from
the predicted observations alone. `context`, the default, also shows the deductive
decoder the current state and joint action, deduces the increment of the state, has a
network of its own for the reward, learns on true next observations too, and shows the
local models the joint action; on SMAX the literal form can be worse than
predicting that nothing changes, since the joint observation does not determine the
state and the reward is a difference between two states.

Additions that the paper needs but does not give: heads for termination and, of discrete
actions, for which are legal; bounded log-variances; the clipping box of the data.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax import ranges
from logo_jax.networks.local_to_global import LocalToGlobal, Sizes, Step
from logo_jax.ops import actions, gaussian
from logo_jax.ops.standardise import standardise, unstandardise, varying_mean
from logo_jax.types import (
  EnvSpec,
  Metrics,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)


@dataclasses.dataclass(frozen=True)
class Config:
  """LOGO's world model; the defaults are the `context` preset."""

  hidden_size: int = 256  # units; Table 8
  # What the deductive decoder R_d reads beside the joint next observation (Eq. 3).
  deduce_input: Literal["obs", "obs_state_action"] = "obs_state_action"
  # Which actions a local model sees: the agent's own, as in Eq. 2, or everybody's, on
  # which an observation of many agents depends.
  local_action: Literal["own", "joint"] = "joint"
  share_local: bool = False  # one local model for all agents; Appendix D
  # Eq. 4's gradient into the predictive encoder: with it, predicted observations turn
  # into a code for the reward and stop being observations.
  deduce_gradient: bool = False
  reconstruct_weight: float = 0.0  # second term of Eq. 2
  # First terms of Eq. 2 and 3, and Eq. 6: exponent of the predicted variance by which
  # each likelihood's gradient is multiplied (beta-NLL, Seitzer et al., 2022); 0 is the
  # plain likelihood, 1 has the gradient of a squared error for the mean.
  variance_exponent: float = 0.5
  # R_d's error on the true next observations, beside those on E_d's (Eq. 3) and E_p's
  # (Eq. 4). Without it R_d never sees a true observation and reads none.
  deduce_real_weight: float = 1.0
  reward_weight: float = 1.0  # of the reward beside the state in Eq. 3 and 4
  termination_class_weight: float = 5.0  # of terminations in their cross entropy
  # Of the layers; parameters stay float32.
  compute_dtype: Literal["float32", "bfloat16"] = "float32"


class Latent(NamedTuple):
  """What a rollout carries: the current observations and state, environment units."""

  obs: jax.Array
  state: jax.Array


def make(config: Config, spec: EnvSpec, statistics: Statistics) -> WorldModel:
  """Builds the model.

  Args:
    config: sizes and readings.
    spec: of the environment.
    statistics: of the training split, for standardisation and the clipping box.

  Returns:
    Pure functions on transitions with any leading batch axes.

  Raises:
    ValueError: a number is out of range.
  """
  ranges.check(
    "model.",
    config,
    hidden_size="[1",
    reconstruct_weight="[0",
    variance_exponent="[0,1]",
    deduce_real_weight="[0",
    reward_weight="[0",
    termination_class_weight="(0",
  )
  sizes = Sizes(
    hidden_size=config.hidden_size,
    deduce_from_obs_alone=config.deduce_input == "obs",
    local_sees_joint_action=config.local_action == "joint",
    share_local=config.share_local,
    reconstructs=config.reconstruct_weight > 0,
    dtype=config.compute_dtype,
  )
  model = _Logo(config, spec, statistics, LocalToGlobal(sizes, spec))
  return WorldModel(
    num_views=2,
    window=1,
    init=model.nets.init,
    loss=model.loss,
    validate=model.validate,
    start=lambda params, transition, key: Latent(transition.obs, transition.state),
    step=model.step,
    diagnose=model.diagnose,
  )


@dataclasses.dataclass(frozen=True)
class _Logo:
  config: Config
  spec: EnvSpec
  statistics: Statistics
  nets: LocalToGlobal

  def _standardise(self, obs, state, action) -> Step:
    return Step(
      self._standardise_obs(obs),
      standardise(state, self.statistics.state),
      actions.encode(action, self.spec.action_dim),
    )

  def _standardise_obs(self, obs: jax.Array) -> jax.Array:
    return self.nets.unpadded(standardise(obs, self.statistics.obs))

  # Training.

  def loss(self, params: Params, t: Transition, key: jax.Array):
    """L_p + L_d + L_Rd + L_Eps (Eq. 2, 3, 4, 6) and the two heads' cross entropies."""
    del key  # means are used, nothing is sampled
    z = self._standardise(t.obs, t.state, t.action)
    z_obs = self._standardise_obs(t.next_obs)
    z_state = standardise(t.next_state, self.statistics.state)
    z_reward = standardise(t.reward, self.statistics.reward)
    mean, log_var = self.nets.predict(params, z)
    losses = {
      "predict": self._obs_mean(self._nll(z_obs, mean, log_var)),
      **self._deductive_losses(params, (z_obs, z_state, z_reward), mean, z),
      "auxiliary": self._auxiliary_loss(params, z_state, z_reward, z),
      **self._head_losses(params, mean, z, t),
    }
    if self.config.reconstruct_weight:
      error = self._reconstruct_loss(params, mean, z)
      losses["reconstruct"] = self.config.reconstruct_weight * error
    total = jnp.stack(list(losses.values())).sum()
    return total, {f"model/{k}_loss": v for k, v in losses.items()}

  def validate(self, params: Params, t: Transition, key: jax.Array) -> jax.Array:
    """Squared errors and cross entropies of what a rollout reads, summed.

    The training loss would not do: weighted likelihoods are no proper score, and the
    reconstructions and the auxiliary path do not enter a rollout.
    """
    del key
    z = self._standardise(t.obs, t.state, t.action)
    mean, _ = self.nets.predict(params, z)
    state, reward = self.nets.deduce(params, mean, z)
    s = self.statistics
    state_error = (standardise(t.next_state, s.state) - state) ** 2
    reward_error = (standardise(t.reward, s.reward) - reward) ** 2
    error = (
      self._obs_mean((self._standardise_obs(t.next_obs) - mean) ** 2)
      + varying_mean(state_error, s.state)
      + self.config.reward_weight * jnp.mean(reward_error)
    )
    return sum(self._head_losses(params, mean, z, t).values(), start=error)

  def _nll(self, target, mean, log_var) -> jax.Array:
    nll = gaussian.negative_log_likelihood(target, mean, log_var)
    beta = self.config.variance_exponent
    return jax.lax.stop_gradient(jnp.exp(beta * log_var)) * nll

  def _obs_mean(self, x: jax.Array) -> jax.Array:
    """Mean of [*b, N, O] over features that vary and are no padding."""
    obs, mask = self.statistics.obs, self.spec.obs_mask
    scale = obs.varies.sum() * len(mask) / jnp.maximum((obs.varies & mask).sum(), 1)
    return scale * varying_mean(self.nets.unpadded(x), obs)

  def _reconstruct_loss(self, params: Params, mean: jax.Array, z: Step) -> jax.Array:
    """Second term of Eq. 2: R_p recovers (o_t, a_t) from the prediction."""
    obs, action = self.nets.reconstruct(params, mean)
    return self._obs_mean((z.obs - obs) ** 2) + jnp.mean((z.action - action) ** 2)

  def _deductive_losses(self, params: Params, target, mean: jax.Array, z: Step):
    """Eq. 3 (encoder and decoder) and Eq. 4."""
    z_obs, z_state, z_reward = target

    def decoder_loss(z_next_obs):
      state, reward = self.nets.deduce(params, z_next_obs, z)
      error = varying_mean((z_state - state) ** 2, self.statistics.state)
      return error + self.config.reward_weight * jnp.mean((z_reward - reward) ** 2)

    encoded_mean, log_var = self.nets.encode(params, z_state, z_reward)
    predicted = mean if self.config.deduce_gradient else jax.lax.stop_gradient(mean)
    losses = {
      "encode": self._obs_mean(self._nll(z_obs, encoded_mean, log_var)),
      "deduce": decoder_loss(encoded_mean),
      "deduce_predicted": decoder_loss(predicted),
    }
    if self.config.deduce_real_weight:
      losses["deduce_real"] = self.config.deduce_real_weight * decoder_loss(z_obs)
    return losses

  def _auxiliary_loss(self, params: Params, z_state, z_reward, z: Step) -> jax.Array:
    """Eq. 6, with one joint head that reads every agent's observation and action."""
    mean, log_var = self.nets.auxiliary(params, z)
    state = self._nll(z_state, mean[..., :-1], log_var[..., :-1])
    reward = gaussian.negative_log_likelihood(z_reward, mean[..., -1], log_var[..., -1])
    return varying_mean(state, self.statistics.state) + jnp.mean(reward)

  def _head_losses(self, params: Params, mean: jax.Array, z: Step, t: Transition):
    """Heads learn on what they will read in rollouts: predictions, held fixed."""
    obs = jax.lax.stop_gradient(mean)
    state, _ = jax.lax.stop_gradient(self.nets.deduce(params, obs, z))
    ended = t.discount == 0.0
    logit = self.nets.termination_logit(params, state, z)
    class_weight = jnp.where(ended, self.config.termination_class_weight, 1.0)
    termination = jnp.mean(class_weight * _binary_cross_entropy(logit, ended))
    if self.spec.action_kind == "continuous":
      return {"termination": termination}
    legal = _binary_cross_entropy(self.nets.legal_logits(params, obs), t.next_legal)
    return {"legal": jnp.mean(legal), "termination": termination}

  # Imagination.

  def step(
    self, params: Params, latent: Latent, action: jax.Array, key: jax.Array
  ) -> tuple[Latent, Prediction]:
    """The dashed path of Fig. 2: predict locally, deduce globally, compare."""
    del key  # deterministic: the mean
    z = self._standardise(latent.obs, latent.state, action)
    z_obs, _ = self.nets.predict(params, z)
    z_state, z_reward = self.nets.deduce(params, z_obs, z)
    aux_mean, aux_log_var = self.nets.auxiliary(params, z)
    obs = self.nets.unpadded(unstandardise(z_obs, self.statistics.obs))
    state = unstandardise(z_state, self.statistics.state)
    logit = self.nets.termination_logit(params, z_state, z)
    # The class weight shifts the head's log-odds by its logarithm; undone, `discount`
    # is the expected one and values of imagined steps are not biased by the weight.
    ended = jax.nn.sigmoid(logit - jnp.log(self.config.termination_class_weight))
    views = jnp.stack([z_state, aux_mean[..., :-1]], -2)[..., None, :]
    aux_std = jnp.exp(0.5 * aux_log_var[..., :-1])
    # The deductive path is trained by a squared error and has no variance.
    std = jnp.stack([jnp.zeros_like(aux_std), aux_std], -2)[..., None, :]
    varies = self.statistics.state.varies
    prediction = Prediction(
      obs=obs,
      state=state,
      reward=unstandardise(z_reward, self.statistics.reward),
      discount=1.0 - ended,
      legal=self._legal(params, z_obs),
      mean=jnp.where(varies, views, 0.0),
      std=jnp.where(varies, std, 0.0),
    )
    return Latent(obs, state), prediction

  def _legal(self, params: Params, z_next_obs: jax.Array) -> jax.Array:
    if self.spec.action_kind == "continuous":
      return jnp.ones((*z_next_obs.shape[:-1], self.spec.action_dim), bool)
    logits = self.nets.legal_logits(params, z_next_obs)
    return actions.fill_empty(logits > 0, logits)

  def diagnose(self, params: Params, t: Transition) -> Metrics:
    """The leak test: reward R^2 of R_d on predicted minus on true observations.

    Near 0: predicted observations are observations. Far above 0: they have become a
    code that only R_d can read.
    """
    z = self._standardise(t.obs, t.state, t.action)
    z_reward = standardise(t.reward, self.statistics.reward)

    def reward_r2(z_next_obs):
      _, reward = self.nets.deduce(params, z_next_obs, z)
      residual = jnp.mean((z_reward - reward) ** 2)
      return 1.0 - residual / jnp.maximum(jnp.var(z_reward), 1e-12)

    predicted = reward_r2(self.nets.predict(params, z)[0])
    true = reward_r2(self._standardise_obs(t.next_obs))
    return {
      "reward_r2_predicted_obs": predicted,
      "reward_r2_true_obs": true,
      "leak": predicted - true,
    }


def _binary_cross_entropy(logit: jax.Array, label: jax.Array) -> jax.Array:
  return jax.nn.softplus(logit) - logit * label
