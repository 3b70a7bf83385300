import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
import numpy as np

from logo_jax.training import parallel, shards


def test_unequal_shards_make_an_exact_weighted_mean():
  """Four shards draw alike from their rows; weighed, their mean is the whole's."""
  weight = jnp.array([[1.0, 3.0], [0.5, 0.5], [4.0, 0.0], [2.0, 1.0]])
  value = jnp.arange(8.0).reshape(4, 2)

  def shard(weight, value):
    # The exact expectation of one draw on this device.
    own = (weight * value).sum() / weight.sum()
    return shards.relative_mass(jnp.log(weight.sum()), "batch") * own

  mesh = parallel.make_mesh(1, 4)
  spread = jax.shard_map(
    lambda w, v: jnp.atleast_1d(shard(w, v)),
    mesh=mesh,
    in_specs=(P("batch"), P("batch")),
    out_specs=P("batch"),
    check_vma=False,
  )
  by_device = jax.jit(spread)(weight, value)
  exact = (weight * value).sum() / weight.sum()
  np.testing.assert_allclose(by_device.mean(), exact, rtol=1e-6)


def test_one_device_weighs_one():
  assert shards.relative_mass(jnp.float32(3.0), None) == 1.0
