"""Which losses of a model move which networks, and how far the reward reaches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import transitions
from logo_jax.world_models import direct, logo
from tests import toys

HEADS = {"termination": {"termination"}, "legal": {"legal"}}
DEDUCE = {"deduce", "reward"}
# All fields that decide it are named, so that no default does.
CONTEXT = logo.Config(
  network="mlp",
  hidden_size=8,
  deduce_input="obs_state_action",
  local_action="joint",
  deduce_gradient=False,
  reconstruct_weight=0.0,
  encode_weight=1.0,
  deduce_real_weight=1.0,
  auxiliary_share=0.0,
  reward_weight=1.0,
)
MIXED = dataclasses.replace(
  CONTEXT, encode_weight=0.0, auxiliary_share=0.5, reward_weight=7.0
)
LOGO = HEADS | {
  "predict": {"predict"},  # Eq. 2
  "auxiliary": {"auxiliary"},  # Eq. 6
  "deduce_predicted": DEDUCE,  # Eq. 4
  "deduce_real": DEDUCE,
}
MODELS = {
  "context": (
    *(logo, CONTEXT),
    LOGO | {"encode": {"encode"}, "deduce": DEDUCE | {"encode"}},  # Eq. 3
  ),
  # What rollouts read is no deduced state alone: its reward is learned apart.
  "mixed": (logo, MIXED, LOGO | {"reward": {"reward"}}),
  "direct": (
    *(direct, direct.Config(network="mlp", hidden_size=8)),
    HEADS
    | {"state": {"trunk", "state"}, "obs": {"trunk", "obs"}, "reward": {"reward"}},
  ),
}


def _filled(shapes):
  """Some numbers, the same for networks of the same shape."""
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda x: 0.5 * rng.normal(size=x.shape).astype(x.dtype), shapes)


@pytest.fixture(scope="module")
def slopes():
  """Of each loss of each model, by network."""
  loaded = toys.load_corridor(60)
  t = transitions(loaded.data.rows, loaded.data.train[:16])

  def of(module, config):
    model = module.make(config, loaded.spec, loaded.statistics)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = {network: _filled(tree) for network, tree in shapes.items()}

    def losses(params):
      _, metrics = model.loss(params, t, jnp.ones(16), jax.random.key(1))
      return metrics

    found = jax.device_get(jax.jit(jax.jacrev(losses))(params))
    return {k.removeprefix("model/").removesuffix("_loss"): v for k, v in found.items()}

  return {name: of(*rest[:2]) for name, rest in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
def test_every_loss_moves_its_own_networks_alone(slopes, name):
  def moved(by_network):
    return {
      network
      for network, tree in by_network.items()
      if any(x.any() for x in jax.tree.leaves(tree))
    }

  assert {k: moved(v) for k, v in slopes[name].items()} == MODELS[name][2]


@pytest.mark.parametrize("loss", ["deduce_predicted", "deduce_real"])
def test_the_reward_moves_no_network_but_its_own(slopes, loss):
  """Seven times its weight is seven times its slope, and leaves R_d's as it is."""
  one, seven = (slopes[name][loss] for name in ("context", "mixed"))
  for network, factor in (("deduce", 1.0), ("reward", 7.0)):
    pairs = zip(
      jax.tree.leaves(one[network]), jax.tree.leaves(seven[network]), strict=True
    )
    for x, y in pairs:
      np.testing.assert_allclose(factor * x, y, rtol=1e-4, atol=1e-6)
