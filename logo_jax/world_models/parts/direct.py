"""The dynamics of a direct model, also those of an ensemble's members."""

from typing import Any

import jax
import jax.numpy as jnp

from logo_jax.networks.entity_models import EntityNetworks
from logo_jax.networks.flat_models import DirectNetworks, Sizes
from logo_jax.networks.now import Now
from logo_jax.types import Params
from logo_jax.world_models.parts import networks
from logo_jax.world_models.parts.dynamics import Dynamics
from logo_jax.world_models.parts.frame import After, Frame, Said


def make(frame: Frame, config: Any) -> Dynamics:
  """One step of a direct model.

  Args:
    frame: codecs and the environment's spec.
    config: a model's, with `network`, `hidden_size`, `compute_dtype` and
      `reward_weight`.
  """
  sizes = Sizes(config.hidden_size, config.compute_dtype)
  parts = (sizes, frame.spec, frame.state, frame.obs)
  # Each kind makes of its own embedding what the other one cannot read.
  nets: Any
  if config.network == "entity":
    nets = EntityNetworks(*parts, deductive=False)
  else:
    nets = DirectNetworks(*parts)
  heads = networks.heads(nets, frame.spec)

  def say(params: Params, now: Now):
    embedding = nets.trunk(params, now)
    state_output = nets.state(params, embedding, now)
    obs_output = nets.obs(params, embedding, now)
    state = frame.state.decode(state_output, now.state)
    obs = frame.obs.decode(obs_output, now.obs)
    # The other heads learn on what they will read in rollouts: predictions, held fixed.
    fixed_state, fixed_obs = jax.lax.stop_gradient((state, obs))
    follows = heads(params, fixed_obs, fixed_state, now)
    said = Said(
      obs=obs,
      state=state,
      **follows._asdict(),
      mean=one_view(frame.state.standardised(state), frame.obs.standardised(obs)),
      std=jnp.sqrt(
        one_view(
          frame.state.variance(state_output, now.state),
          frame.obs.variance(obs_output, now.obs),
        )
      ),
    )
    return said, state_output, obs_output

  def losses(params: Params, now: Now, after: After):
    said, state_output, obs_output = say(params, now)
    return {
      "state": frame.state.loss(state_output, now.state, after.state),
      "obs": frame.obs.loss(obs_output, now.obs, after.obs),
      "reward": config.reward_weight * (said.reward - after.reward) ** 2,
    }, said

  return Dynamics(
    num_views=1,
    init=nets.init,
    step=lambda params, now: say(params, now)[0],
    losses=losses,
    heads=heads,
  )


def one_view(state: jax.Array, obs: jax.Array) -> jax.Array:
  """States [*b, S] and observations [*b, N, O] as one view of one group."""
  both = jnp.concatenate([state, obs.reshape(*state.shape[:-1], -1)], -1)
  return both[..., None, None, :]
