"""What every layout must do on rows of its environment."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.codecs import typed
from logo_jax.ops.standardise import moments
from logo_jax.types import Statistics, Transition
from logo_jax.world_models import direct, logo


def statistics(spec, played) -> Statistics:
  """Of time steps with any leading axes; each agent's own where they are unlike."""
  own = played.obs.shape[-1:] if spec.layout.agents_alike else played.obs.shape[-2:]
  obs = played.obs.reshape(-1, *own)
  state = played.state.reshape(-1, played.state.shape[-1])
  return Statistics(
    obs=moments(obs),
    state=moments(state),
    reward=moments(played.reward.reshape(-1)),
    return_range=(-10.0, 10.0),
  )


def expect_round_trip(spec, played):
  """Vectors turn into tokens and back."""
  known = statistics(spec, played)
  state = typed.make([spec.layout.state], known.state)
  obs = typed.make(spec.layout.obs, known.obs, spec.obs_mask)

  @jax.jit
  def there_and_back(*vectors):
    codecs = (state, obs)
    return [c.vector(c.encode(x)) for c, x in zip(codecs, vectors, strict=True)]

  vectors = (played.state, played.obs)
  for back, x in zip(there_and_back(*vectors), vectors, strict=True):
    np.testing.assert_allclose(back, x, atol=1e-4, rtol=1e-5)


def transitions(spec, played, action) -> Transition:
  """Steps `[T - 1, B]` of time steps `[T, B]` and the actions in between."""
  now = jax.tree.map(lambda x: x[:-1], played)
  after = jax.tree.map(lambda x: x[1:], played)
  kind = jnp.int32 if spec.action_kind == "discrete" else jnp.float32
  return Transition(
    obs=now.obs,
    state=now.state,
    legal=now.legal,
    action=jnp.asarray(action, kind),
    reward=after.reward,
    discount=after.discount,
    next_obs=after.obs,
    next_state=after.state,
    next_legal=after.legal,
  )


def expect_learnable(spec, played, action):
  """World models read the tables, step, and have finite gradients.

  Args:
    spec: has a layout.
    played: time steps `[T, B]`.
    action: `[T - 1, B, ...]`.
  """
  batch = transitions(spec, played, action)
  batch = jax.tree.map(lambda x: jnp.asarray(x).reshape(-1, *x.shape[2:]), batch)
  for module in (direct, logo):
    config = module.Config(network="entity", hidden_size=8)
    model = module.make(config, spec, statistics(spec, played))
    params = _drawn(expect_steps(model, batch))
    for x in jax.tree.leaves(_gradient(model, batch)(params)):
      assert np.isfinite(x).all()


def expect_steps(model, batch):
  """A world model starts from rows and steps; returns the shapes of its parameters."""
  key = jax.random.key(0)
  params = jax.eval_shape(model.init, key)
  latent = jax.eval_shape(model.start, params, batch, key)
  _, said = jax.eval_shape(model.step, params, latent, batch.action, key)
  assert (said.state.shape, said.obs.shape) == (batch.state.shape, batch.obs.shape)
  return params


def _drawn(shapes):
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda x: rng.normal(0.0, 0.3, x.shape).astype(x.dtype), shapes)


def _gradient(model, batch):
  def loss(params):
    weight = jnp.ones(batch.reward.shape)
    return model.loss(params, batch, weight, jax.random.key(0))[0]

  # Compiling takes longer than running.
  options = {"xla_backend_optimization_level": 0}
  return jax.jit(jax.value_and_grad(loss), compiler_options=options)
