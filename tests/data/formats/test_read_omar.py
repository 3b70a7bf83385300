"""OMAR's folders of .npy arrays, written straight from the description."""

import numpy as np
import pytest

from logo_jax.data import store
from logo_jax.data.formats import omar


def _particles(folder, num_episodes=3, length=25, sizes=(4, 4, 3)):
  """Particle games: episodes of 25 steps that never say they are done."""
  rng = np.random.default_rng(0)
  total = num_episodes * length
  folder.mkdir(parents=True)
  arrays = {"rews": rng.normal(size=total)}
  for i, size in enumerate(sizes):
    walk = rng.normal(size=(num_episodes, length + 1, size))
    arrays[f"obs_{i}"] = walk[:, :-1].reshape(total, size)
    arrays[f"next_obs_{i}"] = walk[:, 1:].reshape(total, size)
    arrays[f"acs_{i}"] = rng.uniform(-1, 1, (total, 2))
    arrays[f"rews_{i}"] = arrays["rews"]
    arrays[f"dones_{i}"] = np.zeros(total)
  _save(folder, arrays)
  return arrays


def _save(folder, arrays):
  folder.mkdir(parents=True, exist_ok=True)
  for name, array in arrays.items():
    if name != "rews":
      np.save(folder / f"{name}.npy", array)


def test_particle_games_are_cut_every_25_steps(tmp_path):
  folder = tmp_path / "simple_spread" / "medium-replay" / "seed_0_data"
  arrays = _particles(folder)
  stored = omar.read(folder)
  np.testing.assert_array_equal(stored.episode_start, [0, 26, 52, 78])
  np.testing.assert_array_equal(stored.rows.discount, 1)
  assert stored.spec.obs_sizes == (4, 4, 3) and stored.spec.obs_dim == 4
  assert stored.spec.max_steps == 25 and stored.spec.name == "omar/simple_spread"
  assert stored.card["name"] == "omar/simple_spread/medium-replay/seed_0_data"
  for e in range(3):
    rows, steps = slice(26 * e, 26 * e + 25), slice(25 * e, 25 * e + 25)
    for i, size in enumerate((4, 4, 3)):
      obs = stored.rows.obs[:, i]
      for got, key in ((obs[rows], "obs"), (obs[26 * e + 1 : 26 * e + 26], "next_obs")):
        expected = arrays[f"{key}_{i}"][steps].astype(np.float32)
        np.testing.assert_array_equal(got[:, :size], expected)
      assert not obs[:, size:].any()
      action = arrays[f"acs_{i}"][steps].astype(np.float32)
      np.testing.assert_array_equal(stored.rows.action[rows, i], action)
    reward = arrays["rews"][steps].astype(np.float32)
    np.testing.assert_array_equal(stored.rows.reward[rows], reward)
    assert stored.rows.reward[26 * e + 25] == 0
  np.testing.assert_array_equal(stored.rows.state, stored.rows.obs.reshape(78, 12))
  assert store.read(store.write(tmp_path / "own", *stored)).card == stored.card


def test_the_prey_belongs_to_the_environment(tmp_path):
  folder = tmp_path / "simple_tag" / "expert" / "seed_3_data"
  _particles(folder, sizes=(4, 4, 4, 2))
  assert omar.read(folder).spec.num_agents == 3
  assert omar.read(folder).spec.obs_sizes == ()
  assert omar.read(folder, num_agents=4).spec.obs_sizes == (4, 4, 4, 2)
  with pytest.raises(ValueError, match="num_agents 5 is not within 1 and 4"):
    omar.read(folder, num_agents=5)


@pytest.mark.parametrize(
  ("path", "num_agents", "name"),
  [
    ("simple_tag/expert", 3, "simple_tag"),
    ("simple_world/expert/seed0", 3, "simple_world"),
    ("data/simple_tag_expert", 3, "simple_tag_expert"),
    ("simple_tag/simple_world/0", 3, "simple_world"),
    ("tag/expert", 4, "expert"),
  ],
)
def test_the_environment_is_named_somewhere_on_the_path(
  tmp_path, path, num_agents, name
):
  _particles(tmp_path / path, sizes=(4, 4, 4, 2))
  spec = omar.read(tmp_path / path).spec
  assert (spec.num_agents, spec.name) == (num_agents, f"omar/{name}")


def test_the_prey_has_no_say_in_the_reward(tmp_path):
  folder = tmp_path / "simple_tag" / "expert"
  arrays = _particles(folder, sizes=(4, 4, 4, 2))
  np.save(folder / "rews_3.npy", -arrays["rews"])
  reward = omar.read(folder).rows.reward[:25]
  np.testing.assert_array_equal(reward, arrays["rews"][:25].astype(np.float32))


@pytest.mark.parametrize("block", [7, 65_536])
def test_a_buffer_that_was_never_full(tmp_path, monkeypatch, block):
  monkeypatch.setattr(omar, "_BLOCK", block)
  arrays = _particles(tmp_path / "x")
  expected = omar.read(tmp_path / "x").card
  assert expected["altered"] == {}
  zeros = {k: np.concatenate([x, 0 * x[:60]]) for k, x in arrays.items()}
  _save(tmp_path / "y", zeros)
  card = omar.read(tmp_path / "y").card
  assert card["content_hash"] == expected["content_hash"]
  assert card["altered"] == {"steps_dropped": 60}
  _save(tmp_path / "z", {k: 0 * x for k, x in arrays.items()})
  with pytest.raises(ValueError, match="z: obs, next_obs and acs are 0 in every row"):
    omar.read(tmp_path / "z")


def test_episodes_also_end_where_rows_do_not_join(tmp_path):
  _particles(tmp_path / "x", num_episodes=4, length=10)
  stored = omar.read(tmp_path / "x")
  np.testing.assert_array_equal(stored.episode_start, [0, 11, 22, 33, 44])
  np.testing.assert_array_equal(stored.rows.discount, 1)
  stored = omar.read(tmp_path / "x", time_limit=4)
  np.testing.assert_array_equal(np.diff(stored.episode_start), [5, 5, 3] * 4)
  assert stored.card["num_transitions"] == 40
  with pytest.raises(ValueError, match="time_limit 0 must be at least 1"):
    omar.read(tmp_path / "x", time_limit=0)


def _cheetah(done_at=(1000, 700)):
  rng = np.random.default_rng(0)
  total, ends = sum(done_at), np.cumsum(done_at) - 1
  done = np.zeros(total)
  done[ends] = 1
  arrays = {"states_0": rng.normal(size=(total, 5)), "rews": np.zeros(total)}
  arrays["next_states_0"] = np.roll(arrays["states_0"], -1, 0)
  arrays["next_states_0"][ends] = 7.0
  for i in range(2):
    obs = arrays["states_0"][:, i : i + 2]
    arrays |= {f"obs_{i}": obs, f"next_obs_{i}": arrays["next_states_0"][:, i : i + 2]}
    arrays |= {f"acs_{i}": np.zeros((total, 3)), f"dones_{i}": done[:, None]}
    arrays[f"rews_{i}"] = np.full((total, 1), 2.0)
  return arrays


def test_cheetah_has_states_and_a_limit_of_1000(tmp_path):
  folder = tmp_path / "HalfCheetah-v2" / "medium" / "seed_0_data"
  _save(folder, _cheetah())
  stored = omar.read(folder)
  np.testing.assert_array_equal(stored.episode_start, [0, 1001, 1702])
  assert stored.rows.discount[999] == 1  # cut by the limit
  assert stored.rows.discount[1001 + 699] == 0
  np.testing.assert_array_equal(stored.rows.state[[1000, 1701]], 7.0)
  np.testing.assert_array_equal(stored.rows.obs[[1000, 1701]], 7.0)
  assert stored.rows.reward[0] == 2
  assert stored.spec.max_steps == 1000 and stored.spec.action_dim == 3


def test_what_does_not_fit_is_refused_unless_asked_for(tmp_path):
  arrays = _particles(tmp_path / "x")
  wide, other = arrays | {}, arrays | {}
  wide["acs_1"] = 3 * arrays["acs_1"]
  other["rews_2"] = arrays["rews_2"] + 3
  _save(tmp_path / "wide", wide)
  _save(tmp_path / "other", other)
  message = r"actions lie within -2\.\d+ and 2\.\d+, .* of agents 1; set action_range"
  with pytest.raises(ValueError, match=message):
    omar.read(tmp_path / "wide")
  stored = omar.read(tmp_path / "wide", action_range="clip")
  assert set(stored.card["altered"]) == {"actions_clipped"}
  with pytest.raises(
    ValueError, match="rewards of agents 2 differ from agent 0's in 1"
  ):
    omar.read(tmp_path / "other")
  stored = omar.read(tmp_path / "other", team_reward="mean")
  np.testing.assert_allclose(stored.rows.reward[:25], arrays["rews"][:25] + 1, 1e-5)
  assert stored.card["altered"] == {"rewards_averaged": 1.0}


@pytest.mark.parametrize(
  ("name", "change", "message"),
  [
    ("acs_1", None, "acs_1.npy is missing"),
    ("obs_1", lambda x: x[:-1], r"obs_1.npy has shape \[74, 4\], must be \[75, O\]"),
    ("acs_1", lambda x: x[:, :1], r"acs_1.npy has shape \[75, 1\], must be \[75, 2\]"),
    (
      "rews_0",
      lambda x: x[:, None, None],
      r"rews_0.npy has shape \[75, 1, 1\], must be",
    ),
    ("rews_0", lambda x: x * np.nan, "reward has NaN or infinity, row 0"),
    (
      "acs_1",
      lambda x: np.where(x > 0.5, np.inf, x),
      "action has NaN or infinity, row",
    ),
    ("acs_1", lambda x: np.where(x < 0, -np.inf, x), "action has NaN or infinity, row"),
    ("next_obs_0", lambda x: x[0, 0], "next_obs_0.npy holds a single value"),
    ("dones_0", lambda x: x.astype(object), "dones_0.npy is cut short or not a .npy"),
  ],
)
def test_what_is_wrong_is_named(tmp_path, name, change, message):
  arrays = _particles(tmp_path / "x")
  (tmp_path / "x" / f"{name}.npy").unlink()
  if change is not None:
    np.save(tmp_path / "x" / f"{name}.npy", change(arrays[name]), allow_pickle=True)
  with pytest.raises(ValueError, match=message):
    omar.read(tmp_path / "x")


def test_an_archive_in_place_of_an_array(tmp_path):
  _particles(tmp_path / "x")
  np.savez(tmp_path / "zip.npz", obs=np.zeros(2))
  (tmp_path / "zip.npz").rename(tmp_path / "x" / "obs_1.npy")
  with pytest.raises(ValueError, match=r"obs_1\.npy is cut short or not a .npy"):
    omar.read(tmp_path / "x")


@pytest.mark.parametrize("size", [0, 60, 300])
def test_an_array_cut_short(tmp_path, size):
  _particles(tmp_path / "x")
  path = tmp_path / "x" / "obs_1.npy"
  path.write_bytes(path.read_bytes()[:size])
  with pytest.raises(ValueError, match=r"obs_1\.npy is cut short or not"):
    omar.read(tmp_path / "x")
