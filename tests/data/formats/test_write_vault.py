"""Vaults that we write: flashbax opens them, and nothing of ours is lost."""

import json

import jax
import numpy as np
import pytest

from logo_jax import types
from logo_jax.data import store
from logo_jax.data.formats import vault

_LENGTHS = np.array([4, 1, 6, 3, 9])  # transitions
_TERMINAL = np.array([True, False, False, True, True])


def _own(tmp_path, continuous: bool = False) -> store.StoredDataset:
  """A dataset of ours with true ends and cuts."""
  rng = np.random.default_rng(0)
  start = np.concatenate([[0], np.cumsum(_LENGTHS + 1)])
  num = int(start[-1])
  spec = types.EnvSpec("toy/x", 2, 3, 4, "discrete", 5, 9, obs_sizes=(2, 3))
  rows = types.Rows(
    obs=rng.normal(size=(num, 2, 3)).astype(np.float32),
    state=rng.normal(size=(num, 4)).astype(np.float32),
    legal=rng.random((num, 2, 5)) < 0.5,
    action=rng.integers(0, 5, (num, 2)).astype(np.int32),
    reward=rng.normal(size=num).astype(np.float32),
    discount=np.ones(num, np.float32),
  )
  np.put_along_axis(rows.legal, rows.action[..., None], True, -1)
  rows.action[start[1:] - 1] = 0
  rows.reward[start[1:] - 1] = 0
  rows.discount[start[1:][_TERMINAL] - 2] = 0
  card = {"name": "toy/x/random", "spec": spec.stored() | {"obs_sizes": [2, 3]}}
  if continuous:
    action = rng.uniform(-1, 1, (num, 2, 5)).astype(np.float32)
    action[start[1:] - 1] = 0
    rows = rows._replace(action=action, legal=np.ones(action.shape, bool))
    card["spec"] |= {"action_kind": "continuous"}
  card |= {"win_rate": 0.25}
  return store.read(store.write(tmp_path / "own", rows, start, card))


@pytest.mark.parametrize("continuous", [False, True])
def test_our_own_comes_back_bit_for_bit(tmp_path, monkeypatch, continuous):
  monkeypatch.setattr(vault, "_BLOCK", 8)
  stored = _own(tmp_path, continuous)
  again = vault.read(vault.write(stored, tmp_path / "x.vlt" / "random"))
  assert again.card == stored.card
  folder = store.write(tmp_path / "again", *again)
  for path in (tmp_path / "own").iterdir():
    assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_flashbax_reads_ours(tmp_path):
  from flashbax import vault as flashbax_vault

  stored = _own(tmp_path)
  vault.write(stored, tmp_path / "x.vlt" / "random")
  opened = flashbax_vault.Vault("x.vlt", rel_dir=str(tmp_path), vault_uid="random")
  experience = jax.tree.map(np.asarray, opened.read().experience)
  final = stored.episode_start[1:] - 1
  rows = jax.tree.map(lambda x: np.delete(x, final, 0)[None], stored.rows)
  assert set(experience) == {
    "observations", "actions", "rewards", "terminals", "truncations", "infos"
  }  # fmt: skip
  np.testing.assert_array_equal(experience["observations"], rows.obs)
  np.testing.assert_array_equal(experience["actions"], rows.action)
  np.testing.assert_array_equal(experience["infos"]["state"], rows.state)
  np.testing.assert_array_equal(experience["infos"]["legals"], rows.legal)
  for name in ("rewards", "terminals", "truncations"):
    assert experience[name].shape == (1, rows.obs.shape[1], 2)
  np.testing.assert_array_equal(experience["rewards"][..., 1], rows.reward)
  np.testing.assert_array_equal(experience["terminals"][..., 1], 1 - rows.discount)
  ended = experience["terminals"] + experience["truncations"]
  lengths = np.diff(np.flatnonzero(ended[0, :, 0]), prepend=-1)
  np.testing.assert_array_equal(lengths, _LENGTHS)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
  stored = _own(tmp_path)

  def fail(*args, **kwargs):
    raise OSError("disk full")

  monkeypatch.setattr(np, "save", fail)
  with pytest.raises(OSError, match="disk full"):
    vault.write(stored, tmp_path / "x.vlt" / "y")
  assert not (tmp_path / "x.vlt").exists()
  with pytest.raises(ValueError, match="own exists; remove it first"):
    vault.write(stored, tmp_path / "own")


@pytest.mark.parametrize(
  ("row", "message"),
  [(-2, "discount 0.5 of row 26: a vault has only"), (0, "discount is below 1 before")],
)
def test_discounts_that_no_vault_can_tell(tmp_path, row, message):
  stored = _own(tmp_path)
  discount = np.array(stored.rows.discount)
  discount[row] = 0.5
  stored = stored._replace(rows=stored.rows._replace(discount=discount))
  with pytest.raises(ValueError, match=message):
    vault.write(stored, tmp_path / "x")
  assert not (tmp_path / "x").exists()


def test_a_folder_that_is_there_but_empty_will_do(tmp_path):
  stored = _own(tmp_path)
  (tmp_path / "x").mkdir()
  assert vault.read(vault.write(stored, tmp_path / "x")).card == stored.card


def test_an_array_of_ours_that_is_missing(tmp_path):
  folder = vault.write(_own(tmp_path), tmp_path / "x")
  metadata = json.loads((folder / "metadata.json").read_text())
  del metadata["structure_shape"]["infos"]["state"]
  (folder / "metadata.json").write_text(json.dumps(metadata))
  with pytest.raises(
    ValueError, match=r"x: infos\.state is missing, of a vault of ours"
  ):
    vault.read(folder)


def test_damage_to_ours_is_noticed(tmp_path):
  stored = _own(tmp_path)
  folder = vault.write(stored, tmp_path / "x")
  path = folder / "final" / "obs.npy"
  content = path.read_bytes()
  path.write_bytes(content[:-4] + b"\x00\x00\x80\x40")
  with pytest.raises(ValueError, match="x is corrupt: its data are not those"):
    vault.read(folder)
  np.savez(tmp_path / "zip.npz", obs=np.zeros(1))
  path.write_bytes((tmp_path / "zip.npz").read_bytes())
  with pytest.raises(ValueError, match=r"final/obs\.npy is cut short or not a .npy"):
    vault.read(folder)
  path.write_bytes(content[:-4])
  with pytest.raises(ValueError, match=r"final/obs\.npy is cut short or not a .npy"):
    vault.read(folder)
