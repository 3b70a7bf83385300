import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.networks.linear_mixer import LinearMixer, LinearWeights
from logo_jax.networks.mlp import apply


def test_by_hand():
  # 1 * 2 + 3 * 4 + 5, and 0 * 2 + 2 * 4 - 1
  weights = LinearWeights(
    weight=jnp.array([[1.0, 3.0], [0.0, 2.0]]), bias=jnp.array([5.0, -1.0])
  )
  local = jnp.array([[2.0, 4.0], [2.0, 4.0]])
  np.testing.assert_array_equal(weights.mix(local), [19.0, 7.0])
  one = jax.tree.map(lambda x: x[0], weights)
  np.testing.assert_array_equal(one.mix(local[0]), 19.0)


def test_weights_depend_on_the_state_and_are_not_negative():
  mixer = LinearMixer(num_agents=3, hidden_size=8)
  state = jax.random.normal(jax.random.key(0), (4, 5, 6))
  params = mixer.init(jax.random.key(1), state[0, 0])
  weight, bias = apply(mixer, params, state)
  assert weight.shape == (4, 5, 3) and bias.shape == (4, 5)
  assert (weight >= 0).all() and (weight.std((0, 1)) > 0).all()
  assert (bias < 0).any() and (bias > 0).any()


def test_computes_in_another_type_but_answers_in_float32():
  mixer = LinearMixer(num_agents=2, dtype="bfloat16")
  params = mixer.init(jax.random.key(0), jnp.zeros(3))
  out = apply(mixer, params, jnp.ones((4, 3)))
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves((params, out)))
