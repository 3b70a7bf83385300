"""Steps of the optimizers of fits, in numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

from logo_jax.training import optimizers


def _first_step(name, grads):
  optimizer = optimizers.BY_NAME[name](0.1)
  params = {k: jnp.zeros_like(x) for k, x in grads.items()}
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  return optax.apply_updates(params, updates)


def test_muon_goes_as_far_in_every_direction_of_a_matrix():
  """Of diag(-3, 0.03) remain the signs; a step is 0.2 sqrt(2) times the rate.

  Newton-Schulz iterations bring singular values near 1, by design not to it: those of
  0.01 to 1 to between 0.68 and 1.21.
  """
  grads = {"w": jnp.diag(jnp.array([-3.0, 0.03])), "b": jnp.array([5.0, -0.001])}
  step = _first_step("muon", grads)
  np.testing.assert_allclose(step["w"][~np.eye(2, dtype=bool)], 0.0, atol=1e-6)
  size = np.diag(step["w"]) / (0.1 * 0.2 * np.sqrt(2))
  assert 0.6 < size[0] < 1.3
  assert -1.3 < size[1] < -0.6
  # Vectors have Adam with Nesterov's momentum: 1 + 0.9 * 0.1 / 0.19 rates at first.
  np.testing.assert_allclose(step["b"], [-0.14737, 0.14737], rtol=1e-3)


def test_adam_steps_by_the_rate():
  step = _first_step("adam", {"w": jnp.array([[2.0, -0.5], [0.1, 4.0]])})
  np.testing.assert_allclose(step["w"], [[-0.1, 0.1], [-0.1, -0.1]], rtol=1e-4)


def test_stacks_of_muon_step_as_if_each_parameter_were_alone():
  """By optax on the tree as it is, whose matrices it takes one by one."""
  rng = np.random.default_rng(0)
  shapes = {"a": (2, 3), "b": (3,), "c": (2, 3), "d": (1, 2, 2)}
  params = {k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in shapes.items()}
  apart = optax.chain(
    optax.clip_by_global_norm(10.0), contrib.muon(0.1, consistent_rms=0.2)
  )
  steps = []
  for optimizer in (apart, optimizers.muon(0.1)):
    update, state = jax.jit(optimizer.update), optimizer.init(params)
    for scale in (1.0, 30.0):  # the second is clipped
      grads = jax.tree.map(lambda x, s=scale: s * jnp.sin(5 * x), params)
      step, state = update(grads, state, params)
    steps.append(step)
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), *steps)
