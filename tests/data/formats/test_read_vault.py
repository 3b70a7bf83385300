"""OG-MARL's vaults, written with flashbax straight from their description."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data import store
from logo_jax.data.formats import tensors, vault
from logo_jax.ops import actions as codes

_N, _O, _S, _A = 2, 3, 4, 5
_LENGTHS = (4, 3, 6, 2)  # of episodes
_TERMINAL = (True, False, True, True)
_ENDS = np.cumsum(_LENGTHS) - 1


def _experience(batch: int = 1) -> dict:
  """What OG-MARL records on a discrete task; the second episode was cut."""
  rng = np.random.default_rng(0)
  total = sum(_LENGTHS)
  over = np.zeros((2, batch, total, _N), np.float32)
  for end, terminal in zip(_ENDS, _TERMINAL, strict=True):
    over[0 if terminal else 1, :, end] = 1
  reward = rng.normal(size=(batch, total, 1)).astype(np.float32)
  return {
    "observations": rng.normal(size=(batch, total, _N, _O)).astype(np.float32),
    "actions": rng.integers(0, _A, (batch, total, _N)).astype(np.int32),
    "rewards": np.repeat(reward, _N, -1),
    "terminals": over[0],
    "truncations": over[1],
    "infos": {
      "state": rng.normal(size=(batch, total, _S)).astype(np.float32),
      "legals": np.ones((batch, total, _N, _A), np.float32),
    },
  }


def _write(root, experience, spare: int = 7):
  """Writes with flashbax's own Vault; its time axis is longer than what is played."""
  from flashbax import vault as flashbax_vault
  from flashbax.buffers.trajectory_buffer import TrajectoryBufferState

  experience = jax.tree.map(jnp.asarray, experience)
  total = experience["observations"].shape[1]
  padded = jax.tree.map(
    lambda x: jnp.pad(x, [(0, 0), (0, spare)] + [(0, 0)] * (x.ndim - 2)), experience
  )
  state = TrajectoryBufferState(
    experience=padded,
    current_index=jnp.array(total),
    is_full=jnp.array(False),
  )
  made = flashbax_vault.Vault(
    "3m.vlt", experience_structure=padded, rel_dir=str(root), vault_uid="Good"
  )
  assert made.write(state) == total
  return root / "3m.vlt" / "Good"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  return _write(tmp_path_factory.mktemp("vaults"), _experience())


@pytest.fixture
def folder(tmp_path, written):
  """A copy of the plain vault; writing is what takes time."""
  shutil.copytree(written.parent, tmp_path / "3m.vlt")
  return tmp_path / "3m.vlt" / "Good"


def _files(folder):
  return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_every_step_that_can_be_used_is_found_again(tmp_path, folder):
  experience = _experience()
  before = _files(tmp_path)
  stored = vault.read(folder)
  # A true end repeats its last step, a cut gives its last one up.
  take = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 13, 14, 14]
  np.testing.assert_array_equal(stored.episode_start, [0, 5, 8, 15, 18])
  np.testing.assert_array_equal(stored.rows.obs, experience["observations"][0, take])
  np.testing.assert_array_equal(
    stored.rows.state, experience["infos"]["state"][0, take]
  )
  assert stored.rows.legal.all()
  final = np.array([4, 7, 14, 17])
  action, reward = experience["actions"][0, take], experience["rewards"][0, take, 0]
  action[final], reward[final] = 0, 0
  np.testing.assert_array_equal(stored.rows.action, action)
  np.testing.assert_array_equal(stored.rows.reward, reward)
  discount = np.ones(18)
  discount[[3, 13, 16]] = 0
  np.testing.assert_array_equal(stored.rows.discount, discount)
  assert _files(tmp_path) == before
  assert stored.card["name"] == "og_marl/3m/Good"
  assert stored.card["scenario"] is None and "win_rate" not in stored.card
  assert stored.spec.max_steps == 6 and stored.spec.action_dim == _A
  assert store.read(store.write(tmp_path / "own", *stored)).card == stored.card


def test_rows_of_a_batch_follow_each_other(tmp_path):
  experience = _experience(batch=3)
  for name in ("terminals", "truncations"):
    experience[name][1, -1] = 0  # unfinished when the vault was closed
  stored = vault.read(_write(tmp_path, experience))
  starts = [0, 5, 8, 15, 18, 23, 26, 33, 35, 40, 43, 50, 53]
  np.testing.assert_array_equal(stored.episode_start, starts)
  np.testing.assert_array_equal(stored.rows.obs[18], experience["observations"][1, 0])
  np.testing.assert_array_equal(stored.rows.obs[34], experience["observations"][1, 14])
  np.testing.assert_array_equal(stored.rows.discount[33:36], 1)


def test_blocks_and_batches_join(tmp_path, monkeypatch):
  folder = _write(tmp_path, _experience(batch=3))
  whole = vault.read(folder).card["content_hash"]
  monkeypatch.setattr("logo_jax.data.formats.episodes._BLOCK", 4)
  assert vault.read(folder).card["content_hash"] == whole


@pytest.mark.parametrize("as_list", [True, False])
def test_metadata_from_before_2024(folder, as_list):
  expected = vault.read(folder).card["content_hash"]
  path = folder / "metadata.json"
  metadata = json.loads(path.read_text())
  shapes, dtypes = metadata.pop("structure_shape"), metadata.pop("structure_dtype")
  if as_list:
    shapes = jax.tree.map(lambda shape, dtype: [shape, dtype], shapes, dtypes)
  path.write_text(json.dumps(metadata | {"version": 0.1, "structure": shapes}))
  assert vault.read(folder).card["content_hash"] == expected


def test_a_terminal_at_the_time_limit_can_be_taken_for_a_cut(folder):
  stored = vault.read(folder, time_limit=6)
  np.testing.assert_array_equal(np.diff(stored.episode_start), [5, 3, 6, 3])
  np.testing.assert_array_equal(np.flatnonzero(stored.rows.discount == 0), [3, 15])
  assert stored.spec.max_steps == 6 and stored.card["source"]["time_limit"] == 6
  assert stored.card["altered"] == {"steps_dropped": 2, "episodes_cut": 1}
  with pytest.raises(ValueError, match="time_limit 5, but an episode has 6 steps"):
    vault.read(folder, time_limit=5)


def test_trailing_singletons_and_copied_states(tmp_path):
  experience = _experience()
  expected = vault.read(_write(tmp_path / "a", experience)).card["content_hash"]
  experience["actions"] = experience["actions"][..., None]
  state = experience["infos"]["state"]
  experience["infos"]["state"] = np.repeat(state[:, :, None], _N, 2)
  folder = _write(tmp_path / "b", experience)
  assert vault.read(folder).card["content_hash"] == expected
  experience["infos"]["state"][:, :, 1] += 1
  stored = vault.read(_write(tmp_path / "c", experience))
  assert stored.spec.state_dim == _N * _S


def test_without_state_legals_and_truncations(tmp_path):
  experience = _experience()
  del experience["infos"], experience["truncations"]
  stored = vault.read(_write(tmp_path, experience))
  np.testing.assert_array_equal(stored.rows.state, stored.rows.obs.reshape(-1, _N * _O))
  assert stored.rows.legal.shape == (18, _N, experience["actions"].max() + 1)
  np.testing.assert_array_equal(np.diff(stored.episode_start), [5, 10, 3])


def _continuous() -> dict:
  experience = _experience()
  rng = np.random.default_rng(1)
  total = sum(_LENGTHS)
  shape = (1, total, _N, 2)
  experience["actions"] = rng.uniform(-1, 1, shape).astype(np.float32)
  experience["infos"]["legals"] = np.zeros((1, total, _N, 1), np.float32)  # a dummy
  return experience


def test_continuous_actions_are_all_legal(tmp_path):
  experience = _continuous()
  stored = vault.read(_write(tmp_path, experience))
  actions = experience["actions"][0]
  np.testing.assert_array_equal(stored.rows.action[:4], actions[:4])
  assert stored.rows.legal.shape == (18, _N, 2) and stored.rows.legal.all()
  assert stored.spec.action_kind == "continuous"
  # The second episode was cut and gives its last step up.
  assert stored.card["altered"] == {"steps_dropped": 1}


def test_actions_beyond_the_box_are_refused_clipped_or_rescaled(tmp_path):
  experience = _continuous()
  experience["actions"][0, :, 1, 1] *= 4
  experience["actions"][0, :2, 1, 1] = [-4, 3]
  folder, actions = _write(tmp_path, experience), experience["actions"][0]
  message = r"actions lie within -4 and 3\S*, must be .*, of agents 1; set action_range"
  with pytest.raises(ValueError, match=message):
    vault.read(folder)
  stored = vault.read(folder, action_range="clip")
  np.testing.assert_array_equal(stored.rows.action[:4], actions[:4].clip(-1, 1))
  share = stored.card["altered"]["actions_clipped"]
  assert 0.1 < share < 0.25 and "action_bounds" not in stored.card
  stored = vault.read(folder, action_range="rescale")
  bounds = stored.card["action_bounds"]
  assert (bounds["low"][1], bounds["high"][0]) == (-4, 1)
  np.testing.assert_array_equal(stored.rows.action[:4, :, 0], actions[:4, :, 0])
  back = codes.unscale(stored.rows.action, bounds["low"], bounds["high"])
  np.testing.assert_allclose(back[:4], actions[:4], atol=1e-6)
  assert stored.rows.action[0, 1, 1] == -1
  assert stored.card["altered"]["actions_rescaled"] == share
  with pytest.raises(ValueError, match="action_range 'wrap' must be one of refuse, cl"):
    vault.read(folder, action_range="wrap")


def test_padding_with_infinity(tmp_path):
  experience = _continuous()
  experience["observations"][:, :, 1, 2:] = -np.inf
  experience["infos"]["state"][:, :, -1] = -np.inf
  experience["actions"][:, :, 1, 1] = -np.inf
  stored = vault.read(_write(tmp_path / "a", experience))
  assert stored.spec.obs_sizes == (3, 2)
  assert not stored.rows.obs[:, 1, 2:].any() and not stored.rows.state[:, -1].any()
  assert not stored.rows.action[:, 1, 1].any()
  experience["observations"][:, 3, 0, 1] = -np.inf  # once: no padding of an agent
  stored = vault.read(_write(tmp_path / "b", experience))
  assert stored.spec.obs_sizes == () and stored.rows.obs[3, 0, 1] == 0


def test_agents_that_end_one_by_one(tmp_path):
  experience = _experience()
  experience["terminals"][0, 1, 0] = 1  # only one of two
  experience["terminals"][0, 6, 0] = 1  # one has ended, the other was cut
  experience["truncations"][0, 6, 0] = 0
  stored = vault.read(_write(tmp_path, experience))
  np.testing.assert_array_equal(stored.episode_start, [0, 5, 8, 15, 18])
  np.testing.assert_array_equal(stored.rows.discount[5:8], 1)


def test_rewards_that_differ_are_refused_averaged_or_summed(tmp_path):
  experience = _experience()
  experience["rewards"][0, 0] = [10, -10]
  folder = _write(tmp_path, experience)
  message = (
    "rewards of agents 1 differ from agent 0's in 7.1% of the steps, in row 0 10"
  )
  with pytest.raises(ValueError, match=message):
    vault.read(folder)
  shared = experience["rewards"][0, 1, 0]
  for how, first, second in (("mean", 0, shared), ("sum", 0, 2 * shared)):
    stored = vault.read(folder, team_reward=how)
    np.testing.assert_allclose(stored.rows.reward[:2], [first, second], rtol=1e-6)
  assert stored.card["altered"] == {"rewards_summed": 1 / 14, "steps_dropped": 1}


def test_copies_that_differ_by_rounding_are_shared(tmp_path):
  experience = _experience()
  experience["rewards"][..., 1] *= 1 + 1e-7
  card = vault.read(_write(tmp_path, experience)).card
  assert card["altered"] == {"steps_dropped": 1}


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda e: e.pop("actions"), "actions is missing; it has infos.legals"),
    (lambda e: e.pop("terminals"), "terminals is missing"),
    (lambda e: e.update(actions=e["actions"][:, :, :1]), r"actions has shape \[1, 1"),
    (
      lambda e: e.update(actions=e["actions"][..., None].repeat(2, 3)),
      r"actions has shape \[18, 4\], must be \[18, 2\]$",
    ),
    (lambda e: e.update(actions=e["actions"] + 5), "action is not within 0 and 4, row"),
    (lambda e: e["observations"].fill(np.nan), "obs has NaN or infinity, row 0"),
    (
      lambda e: e["infos"]["legals"].fill(0),
      "legal allows some agent no action, row 0",
    ),
  ],
)
def test_what_is_wrong_is_named(tmp_path, change, message):
  experience = _experience()
  change(experience)
  folder = _write(tmp_path, experience)
  with pytest.raises(ValueError, match=f"3m.vlt/Good: {message}"):
    vault.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00"])
def test_metadata_that_is_none(folder, text):
  (folder / "metadata.json").write_text(text)
  with pytest.raises(
    ValueError, match="metadata.json (is not JSON|must hold a JSON object|has neither)"
  ):
    vault.read(folder)


@pytest.mark.parametrize("share", [0.0, 0.6, None])
@pytest.mark.parametrize("name", ["manifest.ocdbt", "d/*"])
def test_a_damaged_file(folder, name, share):
  for path in folder.glob(name):
    if share is None:
      path.unlink()
    else:
      path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
  with pytest.raises(ValueError, match="Good: .* cannot be (opened|read): [^\n]+$"):
    vault.read(folder)


def test_an_empty_vault(folder):
  index = tensors._tensorstore(folder).open(tensors._spec(folder, "vault_index"))
  index.result().write([0]).result()
  with pytest.raises(ValueError, match="vault_index says that it holds 0 steps"):
    vault.read(folder)
