"""OMIGA's MaMuJoCo files, written with h5py straight from the description."""

import h5py
import numpy as np
import pytest

from logo_jax.data import store
from logo_jax.data.formats import omiga

_CHEETAH = "HalfCheetah-v2-6x1-medium-replay.hdf5"


def _standardised(state: np.ndarray, n: int) -> np.ndarray:
  """What the environment shows: every agent's [state, one-hot], standardised alone."""
  agents = np.broadcast_to(state[:, None], (len(state), n, state.shape[1]))
  number = np.broadcast_to(np.eye(n), (len(state), n, n))
  vectors = np.concatenate([agents, number], -1)
  mean, std = vectors.mean(-1, keepdims=True), vectors.std(-1, keepdims=True)
  return ((vectors - mean) / std).astype(np.float32)


def _episodes(lengths, n=6, states=17, acts=1, seed=0) -> dict[str, np.ndarray]:
  """Raw states next to the arrays of a file; an episode of L steps takes L + 1 rows."""
  rng = np.random.default_rng(seed)
  num_rows = sum(length + 1 for length in lengths)
  state = rng.normal(scale=np.geomspace(0.05, 20, states), size=(num_rows, states))
  obs = _standardised(state, n)
  done = np.zeros((num_rows, 1), np.float32)
  done[np.cumsum(np.array(lengths) + 1) - 1] = 1
  return {
    "raw": state.astype(np.float32),
    "o": obs,
    "s": obs,
    "a": rng.normal(scale=1.5, size=(num_rows, n, acts)).astype(np.float32),
    "r": rng.normal(size=(num_rows, 1)).astype(np.float32),
    "d": done,
  }


def _write(path, arrays):
  with h5py.File(path, "w") as file:
    for name, array in arrays.items():
      if name != "raw":
        file[name] = array
  return path


@pytest.mark.parametrize("states", [17, 11, 111])
def test_raw_states_come_back(tmp_path, states):
  n, acts = {17: (6, 1), 11: (3, 1), 111: (2, 4)}[states]
  arrays = _episodes((5, 3), n, states, acts)
  arrays["raw"][:, 40:] = 0  # as the contact forces of Ant
  arrays["o"] = _standardised(arrays["raw"].astype(np.float64), n)
  stored = omiga.read(_write(tmp_path / _CHEETAH, arrays))
  error = np.abs(stored.rows.state - arrays["raw"])
  assert error.max() < 1e-5
  np.testing.assert_array_equal(
    stored.rows.obs[..., states:], np.broadcast_to(np.eye(n), (10, n, n))
  )
  for agent in range(n):
    assert np.abs(stored.rows.obs[:, agent, :states] - arrays["raw"]).max() < 1e-5


@pytest.mark.parametrize(
  ("sizes", "name"),
  [
    ((6, 17, 1), "mamujoco/halfcheetah-6x1-full"),
    ((3, 11, 1), "mamujoco/hopper-3x1-full"),
    ((2, 111, 4), "mamujoco/ant-2x4-full"),
    ((2, 17, 3), None),
  ],
)
def test_the_environment_is_known_by_its_sizes(tmp_path, sizes, name):
  stored = omiga.read(_write(tmp_path / "x.hdf5", _episodes((4,), *sizes)))
  assert stored.card["scenario"] == name
  assert stored.spec.name == (name or "mamujoco/x")
  assert stored.spec.state_dim == sizes[1]
  assert stored.spec.action_kind == "continuous" and stored.spec.max_steps == 1000


def test_l_transitions_from_l_plus_1_rows(tmp_path):
  arrays = _episodes((5, 3, 1))
  stored = omiga.read(_write(tmp_path / _CHEETAH, arrays))
  np.testing.assert_array_equal(stored.episode_start, [0, 6, 10, 12])
  assert stored.card["num_transitions"] == 9
  inner = arrays["d"][:, 0] == 0
  action = np.clip(arrays["a"], -1, 1)
  assert (np.abs(arrays["a"][inner]) > 1).any()
  np.testing.assert_array_equal(stored.rows.action[inner], action[inner])
  np.testing.assert_array_equal(stored.rows.reward[inner], arrays["r"][inner, 0])
  assert not stored.rows.action[~inner].any() and not stored.rows.reward[~inner].any()
  discount = np.ones(12)
  discount[[4, 8, 10]] = 0
  np.testing.assert_array_equal(stored.rows.discount, discount)
  assert stored.card["name"] == "omiga/halfcheetah-6x1/medium-replay"
  assert store.read(store.write(tmp_path / "own", *stored)).card == stored.card


def test_one_dimensional_flags_and_other_types(tmp_path):
  arrays = _episodes((5, 3))
  expected = omiga.read(_write(tmp_path / "a.hdf5", arrays))
  other = arrays | {
    "r": arrays["r"][:, 0].astype(np.float64),
    "d": arrays["d"][:, 0] != 0,
    "a": arrays["a"].astype(np.float64),
  }
  stored = omiga.read(_write(tmp_path / "b.hdf5", other))
  assert stored.card["content_hash"] == expected.card["content_hash"]


def test_a_time_limit_is_no_end(tmp_path):
  path = _write(tmp_path / _CHEETAH, _episodes((1000, 999)))
  limits = {True: 1.0, False: 0.0}
  for bootstrap, discount in limits.items():
    rows = omiga.read(path, timeout_bootstrap=bootstrap).rows
    assert rows.discount[999] == discount  # the 1000th transition
    assert rows.discount[1001 + 998] == 0.0
    assert rows.discount.sum() == 2001 - 1 - (discount == 0.0)


def test_an_unfinished_last_episode_is_cut(tmp_path):
  arrays = _episodes((5, 3))
  arrays["d"][-1] = 0
  stored = omiga.read(_write(tmp_path / _CHEETAH, arrays))
  np.testing.assert_array_equal(stored.episode_start, [0, 6, 10])
  np.testing.assert_array_equal(stored.rows.discount[6:], 1.0)


def test_an_end_that_is_not_marked_is_noticed(tmp_path):
  arrays = _episodes((5, 700, 900))
  arrays["d"][6 + 700] = 0
  path = _write(tmp_path / "x.hdf5", arrays)
  message = r"x\.hdf5: d: the episode from row 6 has 1601 steps, .* limit of 1000; "
  with pytest.raises(ValueError, match=message):
    omiga.read(path)


def test_agents_that_see_different_states(tmp_path):
  arrays = _episodes((5, 3))
  other = arrays["raw"].astype(np.float64)
  other[7, 16] += 1.0
  arrays["o"][:, 3] = _standardised(other, 6)[:, 3]
  with pytest.raises(
    ValueError, match="o, row 7: the agents' raw states differ by 0.8"
  ):
    omiga.read(_write(tmp_path / "x.hdf5", arrays))


def test_all_agents_show_exactly_the_same_state(tmp_path):
  arrays = _episodes((50,))
  noise = np.random.default_rng(1).normal(scale=1e-6, size=arrays["o"].shape)
  arrays["o"] += noise.astype(np.float32)
  stored = omiga.read(_write(tmp_path / "x.hdf5", arrays))
  assert np.abs(stored.rows.state - arrays["raw"]).max() < 1e-3
  for agent in range(6):
    np.testing.assert_array_equal(stored.rows.obs[:, agent, :17], stored.rows.state)


def test_blocks_join(tmp_path, monkeypatch):
  path = _write(tmp_path / _CHEETAH, _episodes((5, 3, 7)))
  whole = omiga.read(path).card["content_hash"]
  monkeypatch.setattr("logo_jax.data.formats.episodes._BLOCK", 4)
  assert omiga.read(path).card["content_hash"] == whole


def test_a_one_hot_number_that_is_none(tmp_path):
  arrays = _episodes((5, 3))
  arrays["o"][7, 2, -1] += 0.05
  with pytest.raises(ValueError, match="o, row 7: the last 6 numbers of an agent"):
    omiga.read(_write(tmp_path / "x.hdf5", arrays))


@pytest.mark.parametrize(
  ("key", "change", "message"),
  [
    (
      "o",
      lambda x: x[..., ::-1],
      "o, row 0: the last 6 numbers .* cannot be recovered",
    ),
    ("o", lambda x: x[..., :6], r"o has shape \[10, 6, 6\]; an observation must hold"),
    ("o", lambda x: x[:, 0], r"o has shape \[10, 23\], must be \[R, N, O\]"),
    ("a", lambda x: x[:-1], r"a has shape \[9, 6, 1\], must be \[10, 6, A\]"),
    ("a", lambda x: x * np.nan, "action has NaN or infinity, row 0"),
    ("a", lambda x: np.where(x > 1, np.inf, x), "action has NaN or infinity, row"),
    ("a", lambda x: np.where(x < 0, -np.inf, x), "action has NaN or infinity, row"),
    (
      "o",
      lambda x: np.where(np.arange(23) == 2, np.inf, x),
      "obs has NaN or infinity, row 0",
    ),
    ("r", lambda x: x * np.inf, "reward has NaN or infinity, row 0"),
    ("d", lambda x: x[:, [0, 0]], r"d has shape \[10, 2\], must be \[10, 1\]"),
    ("d", lambda x: x * 0 + 1, "no episode has a transition"),
  ],
)
def test_what_is_wrong_is_named(tmp_path, key, change, message):
  arrays = _episodes((5, 3))
  arrays[key] = change(arrays[key])
  with pytest.raises(ValueError, match=f"bad.hdf5: {message}"):
    omiga.read(_write(tmp_path / "bad.hdf5", arrays))
