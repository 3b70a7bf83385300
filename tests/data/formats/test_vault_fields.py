"""Vaults whose arrays mean what their types do not say; written with flashbax."""

import numpy as np
import pytest

from logo_jax.data import inspect
from logo_jax.data.formats import vault
from tests.data.formats import test_read_vault as vaults


@pytest.mark.parametrize("axis", [False, True])
@pytest.mark.parametrize("legals", [True, False])
def test_numbers_of_actions_that_are_floats(tmp_path, axis, legals):
  experience = vaults._experience()
  if not legals:
    del experience["infos"]["legals"]
  expected = vault.read(vaults._write(tmp_path / "a", experience))
  actions = experience["actions"].astype(np.float32)
  experience["actions"] = actions[..., None] if axis else actions
  folder = vaults._write(tmp_path / "b", experience)
  if axis and not legals:
    message = "Good: actions are whole numbers up to 4, but infos.legals has no entry"
    with pytest.raises(ValueError, match=message):
      vault.read(folder)
    return
  stored = vault.read(folder)
  assert stored.spec.action_kind == "discrete"
  assert stored.card["content_hash"] == expected.card["content_hash"]


def test_floats_that_are_neither(tmp_path):
  experience = vaults._experience()
  experience["actions"] = experience["actions"].astype(np.float32) + 0.5
  folder = vaults._write(tmp_path / "a", experience)
  with pytest.raises(
    ValueError, match=r"Good: actions: action \d\.5 is not the number"
  ):
    vault.read(folder)
  experience["actions"] = experience["actions"][..., None]
  experience["infos"]["legals"][..., 0] = 0
  folder = vaults._write(tmp_path / "b", experience)
  message = "Good: actions are no whole numbers, but infos.legals allows some of 5"
  with pytest.raises(ValueError, match=message):
    vault.read(folder)


@pytest.mark.parametrize("dummy", [0, 1])
def test_one_continuous_action_beside_dummy_legals(tmp_path, dummy):
  experience = vaults._experience()
  rng = np.random.default_rng(1)
  shape = (*experience["actions"].shape, 1)
  experience["actions"] = rng.uniform(-1, 1, shape).astype(np.float32)
  experience["infos"]["legals"][:] = dummy
  stored = vault.read(vaults._write(tmp_path, experience))
  assert stored.spec.action_kind == "continuous" and stored.rows.legal.all()
  np.testing.assert_array_equal(stored.rows.action[:4], experience["actions"][0, :4])


@pytest.mark.parametrize("again", [False, True])
def test_an_agent_flagged_at_its_own_end(tmp_path, again):
  """Once or until the others end: the last episode does not join the one before."""
  experience = vaults._experience()
  first = int(vaults._ENDS[2])
  experience["terminals"][0, first - 2 : first, 0] = [1, again]
  experience["terminals"][0, first, 0] = again
  stored = vault.read(vaults._write(tmp_path, experience))
  np.testing.assert_array_equal(stored.episode_start, [0, 5, 8, 15, 18])
  np.testing.assert_array_equal(np.flatnonzero(stored.rows.discount == 0), [3, 13, 16])


def test_a_terminal_in_the_step_of_a_cut(tmp_path):
  experience = vaults._experience()
  whole = vault.read(vaults._write(tmp_path / "a", experience)).card["content_hash"]
  over = np.maximum(experience["truncations"], experience["terminals"])
  experience["truncations"] = over
  stored = vault.read(vaults._write(tmp_path / "b", experience))
  assert stored.card["content_hash"] == whole


def test_one_agent_ended_before_the_other_was_cut(tmp_path):
  experience = vaults._experience()
  experience["terminals"][0, 5, 0] = 1  # once
  experience["truncations"][0, 6, 0] = 0
  stored = vault.read(vaults._write(tmp_path, experience))
  np.testing.assert_array_equal(stored.episode_start, [0, 5, 8, 15, 18])
  np.testing.assert_array_equal(stored.rows.discount[5:8], 1)


def test_an_agent_out_of_the_game_without_legal_actions(tmp_path):
  experience = vaults._experience()
  experience["infos"]["legals"][0, 2:4, 1] = 0
  experience["terminals"][0, 2:4, 1] = 1
  stored = vault.read(vaults._write(tmp_path, experience))
  for row in (2, 3):
    action = experience["actions"][0, row, 1]
    np.testing.assert_array_equal(stored.rows.legal[row, 1], np.arange(5) == action)
  assert stored.rows.legal[4].all()  # a final row


def test_padding_of_all_agents_is_cut_off(tmp_path):
  experience = vaults._experience()
  experience["observations"][..., 2:] = -np.inf
  del experience["infos"]["state"]
  stored = vault.read(vaults._write(tmp_path / "a", experience))
  assert (stored.spec.obs_dim, stored.spec.obs_sizes) == (2, ())
  assert stored.spec.state_dim == 4
  assert inspect.summarise(stored).obs.least.shape == (2,)
  experience["observations"][:, :, 1, 1:] = -np.inf
  stored = vault.read(vaults._write(tmp_path / "b", experience))
  assert (stored.spec.obs_dim, stored.spec.obs_sizes) == (2, (2, 1))
  experience["observations"][:] = -np.inf
  with pytest.raises(ValueError, match="Good: observations are nothing but padding"):
    vault.read(vaults._write(tmp_path / "c", experience))


@pytest.mark.parametrize("key", ["observations", "actions", "rewards"])
def test_other_infinities_are_refused(tmp_path, key):
  experience = vaults._continuous()
  experience[key][0, 1] = np.inf
  with pytest.raises(
    ValueError, match="(obs|action|reward) has NaN or infinity, row 1"
  ):
    vault.read(vaults._write(tmp_path, experience))
