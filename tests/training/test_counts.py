"""What learners count beside their parameters."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.configs.registry import component
from tests.training import systems


def test_a_behaviour_models_count_is_no_parameter():
  """The square of an int32 overflows beyond 46,340."""
  loaded = systems.load()
  learner = component("learner", "cfcql", hidden_size=8)
  config = systems.small("macql", learner=learner, total_updates=2, collect_interval=2)
  _, train, _ = systems.train_parts(config, loaded)
  state = jax.jit(train.init)(jax.random.key(0), (), loaded.data)
  params = dict(state.learner.params)
  params["penalty"] = params["penalty"]._replace(step=jnp.int32(50_000))
  state = state._replace(learner=state.learner._replace(params=params))
  state, metrics = jax.jit(train.chunk)(state, loaded.data)
  assert 0 < metrics["learner/parameter_norm"] < 1_000
  assert np.isfinite(metrics["learner/parameter_norm"])
  assert int(state.learner.params["penalty"].step) == 50_002
