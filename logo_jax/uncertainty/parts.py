"""What several uncertainties share."""

import jax
import jax.numpy as jnp

from logo_jax.types import Params, Prediction, Transition, WorldModel

# Along a rollout, (score so far, score of the step) -> score that is stored.
ACCUMULATE = {
  "step": lambda so_far, score: score,
  "cummax": jnp.maximum,
  "cumsum": jnp.add,
}

# Scores of several agents, or groups of features, to one; of the last axis.
REDUCE = {
  "max": lambda score: score.max(-1),
  "mean": lambda score: score.mean(-1),
  "min": lambda score: score.min(-1),
}


def predict(
  model: WorldModel, model_params: Params, t: Transition, key: jax.Array
) -> Prediction:
  """What the model says of recorded steps."""
  k_start, k_step = jax.random.split(key)
  latent = model.start(model_params, t, k_start)
  return model.step(model_params, latent, t.action, k_step)[1]
