from absl.testing import absltest, parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.ops import cql


class CqlTest(parameterized.TestCase):
  @chex.all_variants
  def test_every_action_once_gives_the_exact_soft_maximum(self):
    # Sampling each of 4 actions once, each with probability 1/4:
    # log(1/4 * sum exp(q) / (1/4)) = log sum exp(q)
    q = jnp.array([0.0, 1.0, 2.0, 3.0])
    value = self.variant(cql.logsumexp_push_down)(q, jnp.full(4, np.log(0.25)))
    np.testing.assert_allclose(value, 3.4401897, rtol=1e-6)

  @chex.all_variants
  def test_one_certain_sample_is_its_value(self):
    value = self.variant(cql.logsumexp_push_down)(jnp.array([7.0]), jnp.zeros(1))
    np.testing.assert_allclose(value, 7.0)

  def test_estimate_approaches_the_soft_maximum(self):
    q = jax.random.normal(jax.random.key(0), (50,)) * 2
    index = jax.random.randint(jax.random.key(1), (20_000,), 0, 50)
    value = cql.logsumexp_push_down(q[index], jnp.full(20_000, -np.log(50.0)))
    np.testing.assert_allclose(value, jax.nn.logsumexp(q), atol=0.05)


if __name__ == "__main__":
  absltest.main()
