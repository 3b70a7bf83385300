"""Policies that read units: what they see, and what it makes no difference to swap."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.behaviours import entity_policy, library, policy, ppo
from logo_jax.envs import base
from tests import toys

_SPEC = base.make("smax/3m").spec  # 3 agents, 3 enemies; 13 features of a unit, 10 own
_ALLIES, _UNIT, _MOVES = 2, 13, 5


@jax.jit
def _outputs(params, obs):
  return policy.outputs(params, obs, _SPEC)


@pytest.fixture(scope="module")
def params():
  """Far from uniform."""
  init = jax.jit(lambda key: policy.init(_SPEC, (16,), key, entities=True))
  start = init(jax.random.key(0))
  return jax.tree.map(
    lambda x: x + 0.3 * jax.random.normal(jax.random.key(1), x.shape), start
  )


def _obs():
  obs = jax.random.uniform(jax.random.key(2), (4, 3, _SPEC.obs_dim), minval=0.1)
  return obs.at[..., 5 : _UNIT * 5 : _UNIT].set(0.0)  # nobody has attacked


def _swap(obs, i, j):
  """With the features of the other units i and j swapped, for every agent."""
  units = obs[..., : 5 * _UNIT].reshape(4, 3, 5, _UNIT)
  units = units.at[..., [i, j], :].set(units[..., [j, i], :])
  return obs.at[..., : 5 * _UNIT].set(units.reshape(4, 3, -1))


def test_enemies_that_swap_places_swap_their_logits(params):
  obs = _obs()
  before = _outputs(params, obs)
  after = _outputs(params, _swap(obs, _ALLIES, _ALLIES + 2))
  assert before.shape == (4, 3, _MOVES + 3)
  swapped = before[..., [*range(_MOVES), _MOVES + 2, _MOVES + 1, _MOVES]]
  np.testing.assert_allclose(after, swapped, atol=1e-5)
  assert float(jnp.abs(before[..., _MOVES] - before[..., _MOVES + 2]).min()) > 1e-4


def test_mates_that_swap_places_make_no_difference(params):
  obs = _obs()
  before = _outputs(params, obs)
  np.testing.assert_allclose(_outputs(params, _swap(obs, 0, 1)), before, atol=1e-5)


def test_a_unit_that_mates_attack_is_another_target(params):
  """Of 8 actions the last is number 7: an attack on the second enemy is 6 / 7."""
  obs = _obs()
  before = _outputs(params, obs)
  after = _outputs(params, obs.at[:, 0, 5].set(6 / 7))
  at = entity_policy._places(_SPEC.layout)
  np.testing.assert_allclose(at.aims[0, 0], [0, 5 / 7, 6 / 7, 1], rtol=1e-6)
  np.testing.assert_array_equal(at.aimed[0, 0], np.eye(4, 3, -1))
  # Only the agent that saw it is moved, and the target more than the other enemies.
  np.testing.assert_array_equal(before[:, 1:], after[:, 1:])
  assert float(jnp.abs(before - after)[:, 0, _MOVES + 1].min()) > 1e-4


def test_unseen_units_have_no_part_in_it(params):
  """A unit whose features are all 0 is out of sight, whatever the network's biases."""
  obs = _obs().at[..., : _ALLIES * _UNIT].set(0.0)  # no mates
  other = params._replace(mates=jax.tree.map(lambda x: x + 1.0, params.mates))
  np.testing.assert_array_equal(_outputs(params, obs), _outputs(other, obs))


def test_it_is_stored_exactly(params, tmp_path):
  names, mode = ("suite/saved/0",), policy.Mode(True, 0.05)
  snapshots = tuple(library.Snapshot(n, 0, 0, 1, 0.5, 1.5, 0.2, 1.0) for n in names)
  index = library.Index("suite/saved", 0.2, (0,), mode, {}, {}, snapshots)
  library.save(tmp_path, index, [params])
  loaded = library.load(names[0], tmp_path)
  assert isinstance(loaded, policy.EntityParams)
  jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_what_does_not_fit_is_refused():
  config = ppo.Config(entities=True, total_steps=10_000)
  ppo.check(_SPEC, config)
  for spec, why in (
    (toys.targets().spec, "entities: needs discrete actions"),
    (dataclasses.replace(_SPEC, layout=None), "entities: needs a layout with targets"),
    # An enemy that nobody can attack.
    (
      dataclasses.replace(
        _SPEC,
        layout=dataclasses.replace(
          _SPEC.layout, action_points=((*[-1] * 6, 3, 4),) * 3
        ),
      ),
      "for each unit that is none one action",
    ),
  ):
    with pytest.raises(ValueError, match=why):
      ppo.check(spec, config)
  with pytest.raises(ValueError, match="entities: reads observations as they are"):
    ppo.check(_SPEC, dataclasses.replace(config, standardise_obs=True))
  with pytest.raises(ValueError, match="enemy_health 0.0 must be in"):
    ppo.check(_SPEC, dataclasses.replace(config, enemy_health=0.0))
