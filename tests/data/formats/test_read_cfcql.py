"""CFCQL's SMAC files, written with h5py straight from the description of the layout."""

import h5py
import numpy as np
import pytest

from logo_jax.data import store
from logo_jax.data.formats import cfcql

_E, _T, _N, _O, _S, _A = 4, 6, 2, 3, 5, 4
_LENGTHS = (3, 6, 2, 6)  # transitions
_TERMINAL = (True, False, True, True)  # the second episode ran into the limit of 6


def _arrays() -> dict[str, np.ndarray]:
  rng = np.random.default_rng(0)
  arrays = {
    "state": rng.normal(size=(_E, _T + 1, _S)).astype(np.float32),
    "obs": rng.normal(size=(_E, _T + 1, _N, _O)).astype(np.float32),
    "actions": rng.integers(1, _A, (_E, _T + 1, _N, 1)),
    "avail_actions": np.ones((_E, _T + 1, _N, _A), np.int32),
    "probs": np.zeros((_E, _T + 1, _N, _A), np.float32),
    "reward": rng.random((_E, _T + 1, 1)).astype(np.float32),
    "terminated": np.zeros((_E, _T + 1, 1), np.uint8),
    "filled": np.zeros((_E, _T + 1, 1), np.int64),
  }
  arrays["avail_actions"][..., 0] = 0
  for e, (length, terminal) in enumerate(zip(_LENGTHS, _TERMINAL, strict=True)):
    arrays["filled"][e, : length + 1] = 1
    arrays["terminated"][e, length - 1] = terminal
    for name in ("state", "obs", "actions", "avail_actions", "reward"):
      arrays[name][e, length + 1 :] = 0
  return arrays


def _write(path, arrays, **options):
  with h5py.File(path, "w") as file:
    for name, array in arrays.items():
      file.create_dataset(name, data=array, **options)
  return path


@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
def test_every_step_is_found_again(tmp_path, options):
  arrays = _arrays()
  path = _write(tmp_path / "2s3z_medium_replay.h5", arrays, **options)
  stored = cfcql.read(path)
  np.testing.assert_array_equal(stored.episode_start, [0, 4, 11, 14, 21])
  for e, (length, terminal) in enumerate(zip(_LENGTHS, _TERMINAL, strict=True)):
    rows = slice(stored.episode_start[e], stored.episode_start[e + 1])
    for name, key in (("obs", "obs"), ("state", "state"), ("legal", "avail_actions")):
      got, expected = getattr(stored.rows, name)[rows], arrays[key][e, : length + 1]
      np.testing.assert_array_equal(got, expected)
    action, reward = stored.rows.action[rows], stored.rows.reward[rows]
    np.testing.assert_array_equal(action[:-1], arrays["actions"][e, :length, :, 0])
    np.testing.assert_array_equal(reward[:-1], arrays["reward"][e, :length, 0])
    assert not action[-1].any() and reward[-1] == 0
    expected = np.ones(length + 1)
    expected[-2] = 1 - terminal
    np.testing.assert_array_equal(stored.rows.discount[rows], expected)


def test_the_card_is_as_if_our_own(tmp_path):
  stored = cfcql.read(_write(tmp_path / "2s3z_medium_replay.h5", _arrays()))
  card = stored.card
  assert card["name"] == "cfcql/2s3z/medium-replay"
  assert card["scenario"] is None and "win_rate" not in card
  assert card["source"] == {"format": "cfcql", "path": "2s3z_medium_replay.h5"}
  assert stored.spec.name == "smac/2s3z" and stored.spec.max_steps == _T
  assert stored.spec.action_kind == "discrete" and stored.spec.action_dim == _A
  folder = store.write(tmp_path / "own", *stored)
  assert store.read(folder).card == card
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    "2s3z_medium_replay.h5",
    "own",
  ]


def test_ends_at_the_time_limit_can_be_taken_for_cuts(tmp_path):
  """Of the episodes of 6 steps one is called ended; `terminated` is all it takes."""
  arrays = _arrays()
  path = _write(tmp_path / "x.h5", arrays)
  stored = cfcql.read(path, time_limit=_T)
  ends = stored.episode_start[1:] - 2
  np.testing.assert_array_equal(stored.rows.discount[ends], [0, 1, 0, 1])
  np.testing.assert_array_equal(np.diff(stored.episode_start) - 1, _LENGTHS)
  assert stored.card["altered"] == {"episodes_cut": 1}
  assert stored.card["source"]["time_limit"] == _T
  with pytest.raises(ValueError, match="time_limit 5, but an episode has 6 steps"):
    cfcql.read(path, time_limit=5)
  # Without a final observation the last step has to do.
  arrays["filled"][3, -1] = 0
  stored = cfcql.read(_write(tmp_path / "y.h5", arrays), time_limit=_T)
  np.testing.assert_array_equal(np.diff(stored.episode_start) - 1, [3, 6, 2, 5])
  np.testing.assert_array_equal(stored.rows.obs[-1], arrays["obs"][3, _T - 1])
  assert stored.card["altered"] == {"steps_dropped": 1, "episodes_cut": 1}


def test_other_types_and_a_missing_trailing_axis(tmp_path):
  arrays = _arrays()
  expected = cfcql.read(_write(tmp_path / "a_expert.h5", arrays))
  del arrays["probs"]
  other = {name: array.astype(np.float64) for name, array in arrays.items()}
  other["avail_actions"] = arrays["avail_actions"].astype(bool)
  for name in ("reward", "terminated", "filled"):
    other[name] = other[name][..., 0]
  stored = cfcql.read(_write(tmp_path / "b_expert.h5", other))
  assert stored.card["content_hash"] == expected.card["content_hash"]


def test_blocks_join(tmp_path, monkeypatch):
  path = _write(tmp_path / "x.h5", _arrays())
  whole = cfcql.read(path).card["content_hash"]
  monkeypatch.setattr("logo_jax.data.formats.episodes._BLOCK", 3)
  assert cfcql.read(path).card["content_hash"] == whole


def test_a_terminated_episode_without_final_observation(tmp_path):
  arrays = _arrays()
  arrays["filled"][0, 3] = 0
  stored = cfcql.read(_write(tmp_path / "x.h5", arrays))
  np.testing.assert_array_equal(stored.episode_start[:2], [0, 4])
  np.testing.assert_array_equal(stored.rows.obs[3], arrays["obs"][0, 2])
  assert stored.rows.discount[2] == 0
  assert stored.card["name"] == "cfcql/x"


def test_final_rows_need_no_legal_action(tmp_path):
  arrays = _arrays()
  arrays["avail_actions"][0, 3] = 0
  assert cfcql.read(_write(tmp_path / "x.h5", arrays)).rows.legal[3].all()


@pytest.mark.parametrize(
  ("key", "change", "message"),
  [
    ("obs", None, "obs is missing; it has actions, avail_actions"),
    ("obs", lambda x: x[:, :-1], r"obs has shape \[4, 6, 2, 3\], must be \[4, 7, 2, O"),
    ("actions", lambda x: x[..., 0], r"actions has shape \[4, 7, 2\], must be"),
    ("avail_actions", lambda x: x[0], r"must be \[E, T \+ 1, N, A\]"),
    ("state", lambda x: x.astype("S8"), "state is of type .S8, must be numbers"),
    ("filled", lambda x: x[:, ::-1], "filled of episode 0 has a gap"),
    ("filled", lambda x: 0 * x, "no episode has a transition"),
    ("actions", lambda x: x + 0.5, r"action [123]\.5 is not the number"),
    ("actions", lambda x: x + 2**40, r"action 10995116277\d\d is not the number"),
    ("actions", lambda x: x + 9, "action is not within 0 and 3, row 0"),
    ("actions", lambda x: 0 * x, "action 0 of agent 0 is not legal in source step 0, "),
    ("obs", lambda x: x * np.nan, "obs has NaN or infinity, row 0"),
    ("obs", lambda x: np.where(x > 0, -np.inf, x), "obs has NaN or infinity, row 0"),
    ("state", lambda x: x * np.float64(1e39), "state has NaN or infinity, row 0"),
  ],
)
def test_what_is_wrong_is_named(tmp_path, key, change, message):
  arrays = _arrays()
  if change is None:
    del arrays[key]
  else:
    arrays[key] = change(arrays[key])
  path = _write(tmp_path / "bad.h5", arrays)
  with pytest.raises(ValueError, match=f"bad.h5.*({message})"):
    cfcql.read(path)


def test_an_agent_out_of_the_game_may_do_what_it_did(tmp_path):
  arrays = _arrays()
  arrays["avail_actions"][1, 2, 0] = 0
  stored = cfcql.read(_write(tmp_path / "x.h5", arrays))
  action = stored.rows.action[4 + 2, 0]
  np.testing.assert_array_equal(stored.rows.legal[4 + 2, 0], np.arange(_A) == action)
  arrays["avail_actions"][1, 2] = 0  # nobody: that is damage
  with pytest.raises(ValueError, match="legal allows some agent no action, row 6"):
    cfcql.read(_write(tmp_path / "y.h5", arrays))


def test_an_illegal_action_is_named_with_its_agent_and_step(tmp_path):
  arrays = _arrays()
  arrays["actions"][1, 2, 1] = 0
  message = r"x\.h5: action 0 of agent 1 is not legal in source step 9, row 6$"
  with pytest.raises(ValueError, match=message):
    cfcql.read(_write(tmp_path / "x.h5", arrays))


@pytest.mark.parametrize("junk", [-5.0, np.nan, 0.5])
def test_what_lies_beyond_the_end_may_be_anything(tmp_path, junk):
  arrays = _arrays()
  expected = cfcql.read(_write(tmp_path / "x.h5", arrays)).card["content_hash"]
  arrays["actions"] = arrays["actions"].astype(np.float64)
  arrays["actions"][0, -1] = junk
  stored = cfcql.read(_write(tmp_path / "y.h5", arrays))
  assert stored.card["content_hash"] == expected


def test_an_end_beyond_the_time_limit(tmp_path):
  arrays = _arrays()
  arrays["terminated"][1, -1] = 1
  with pytest.raises(
    ValueError, match="terminated of episode 1 is set in the last slo"
  ):
    cfcql.read(_write(tmp_path / "x.h5", arrays))


@pytest.mark.parametrize("front", [True, False])
def test_empty_episodes_are_left_out(tmp_path, front):
  arrays = _arrays()
  expected = cfcql.read(_write(tmp_path / "x.h5", arrays)).card["content_hash"]
  for name, array in arrays.items():
    parts = [np.zeros((3, *array.shape[1:]), array.dtype), array]
    arrays[name] = np.concatenate(parts if front else parts[::-1])
  stored = cfcql.read(_write(tmp_path / "y.h5", arrays))
  assert stored.card["content_hash"] == expected


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_cut_short(tmp_path, share):
  path = _write(tmp_path / "cut.h5", _arrays())
  path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
  with pytest.raises(ValueError, match=r"cut\.h5 is cut short or no HDF5"):
    cfcql.read(path)


def test_damage_inside_a_field(tmp_path):
  path = _write(
    tmp_path / "bad.h5", _arrays(), chunks=True, compression="gzip", fletcher32=True
  )
  with h5py.File(path) as file:
    chunk = file["obs"].id.get_chunk_info(0)
  content = bytearray(path.read_bytes())
  content[chunk.byte_offset + 10] ^= 0xFF
  path.write_bytes(content)
  with pytest.raises(ValueError, match=r"bad\.h5: obs\[0:4\] cannot be read"):
    cfcql.read(path)
