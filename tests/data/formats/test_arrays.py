"""Episodes of somebody's own as arrays: every row is known by hand."""

import sys
import types

import numpy as np
import pytest

from logo_jax import data
from logo_jax.data import formats, remarks, store
from logo_jax.envs import base
from tests import toys

# Two agents; an episode of two steps that ends by itself, one of three that is cut.
_LENGTHS = np.array([2, 3])
_OBS = np.arange(14, dtype=np.float64).reshape(7, 2, 1)  # with final rows
_ACTION = np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
_REWARD = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
_ENDED = np.array([True, False])


@pytest.fixture
def corridor(monkeypatch):
  """The game toy/corridor, as long as a test lasts."""
  module = types.ModuleType("toy_games")
  env = toys.corridor()
  vars(module).update(SCENARIOS=("corridor",), make=lambda scenario: env)
  monkeypatch.setitem(sys.modules, "toy_games", module)
  monkeypatch.setattr(base, "_SUITES", {"toy": "toy_games"})
  yield env
  base.make.cache_clear()


def _given(**changed):
  given = {"obs": _OBS, "action": _ACTION, "reward": _REWARD, "terminal": _ENDED}
  return given | {"lengths": _LENGTHS} | changed


def _split(rows, sizes):
  return np.split(rows, np.cumsum(sizes)[:-1])


def test_rows_are_those_of_the_episodes(tmp_path):
  folder = data.from_arrays(tmp_path / "mine", **_given())
  stored = store.read(folder)
  np.testing.assert_array_equal(stored.episode_start, [0, 3, 7])
  np.testing.assert_array_equal(stored.rows.obs, _OBS.astype(np.float32))
  np.testing.assert_array_equal(stored.rows.state, _OBS.reshape(7, 2))
  np.testing.assert_array_equal(stored.rows.action[:, 0], [0, 1, 0, 0, 1, 0, 0])
  np.testing.assert_array_equal(stored.rows.action[:, 1], [1, 1, 0, 0, 0, 1, 0])
  np.testing.assert_array_equal(stored.rows.reward, [1, 2, 0, 3, 4, 5, 0])
  np.testing.assert_array_equal(stored.rows.discount, [1, 0, 1, 1, 1, 1, 1])
  assert stored.rows.legal.all() and stored.rows.legal.shape == (7, 2, 2)
  assert (stored.spec.name, stored.spec.max_steps) == ("arrays/mine", 3)
  assert stored.card["name"] == "mine" and stored.card["altered"] == {}
  (line,) = remarks.remarks(stored)
  assert line == "no states are recorded; observations side by side stand for them"
  assert data.from_arrays(folder, **_given()) == folder  # the same once more
  with pytest.raises(ValueError, match="exists and holds something else; remove it"):
    data.from_arrays(folder, **_given(reward=-_REWARD))


def test_lists_and_arrays_are_the_same_dataset(tmp_path):
  legal = np.ones((7, 2, 3), bool)
  legal[:, :, 2] = False
  more = {"state": _OBS[:, 0], "legal": legal, "max_steps": 9}
  one = data.from_arrays(tmp_path / "a", **_given(**more), name="x")
  lists = {
    key: _split(value, _LENGTHS + (key in ("obs", "state", "legal")))
    for key, value in _given(**more).items()
    if key not in ("terminal", "lengths", "max_steps")
  }
  other = data.from_arrays(
    tmp_path / "b", **lists, terminal=_ENDED, max_steps=9, name="x"
  )
  assert store.read(one).card == store.read(other).card
  stored = store.read(one)
  assert stored.spec.max_steps == 9 and stored.spec.action_dim == 3
  assert not stored.rows.legal[0, 0, 2] and "state_made" not in stored.card
  np.testing.assert_array_equal(stored.rows.state, _OBS[:, 0])


def test_without_final_observations_an_episode_that_is_cut_gives_up_a_step(tmp_path):
  obs = np.arange(10.0).reshape(5, 2, 1)
  stored = store.read(data.from_arrays(tmp_path / "x", **_given(obs=obs)))
  # The last step of the first one is repeated, nothing depends on it.
  np.testing.assert_array_equal(stored.rows.obs[:, 0, 0], [0, 2, 2, 4, 6, 8])
  np.testing.assert_array_equal(stored.rows.reward, [1, 2, 0, 3, 4, 0])
  np.testing.assert_array_equal(stored.rows.discount, [1, 0, 1, 1, 1, 1])
  np.testing.assert_array_equal(stored.rows.action[:, 0], [0, 1, 0, 0, 1, 0])
  assert stored.card["altered"] == {"steps_dropped": 1}


def test_continuous_actions_and_rewards_of_each_agent(tmp_path):
  action = np.array([[0.5, -1], [2, 0], [0, 0], [0, 0], [0, 0]])[..., None]
  reward = np.stack([_REWARD, 3 * _REWARD], -1)
  with pytest.raises(
    ValueError, match="actions lie within -1 and 2.* set action_range"
  ):
    data.from_arrays(tmp_path / "x", **_given(action=action))
  given = _given(action=action, reward=reward)
  with pytest.raises(ValueError, match="rewards of agents 1 differ.* set team_reward"):
    data.from_arrays(tmp_path / "x", **given, action_range="clip")
  options = {"action_range": "rescale", "team_reward": "mean"}
  stored = store.read(data.from_arrays(tmp_path / "x", **given, **options))
  assert stored.spec.action_kind == "continuous"
  np.testing.assert_array_equal(stored.rows.reward, [2, 4, 0, 6, 8, 10, 0])
  # [-1, 2] becomes [-1, 1]: 0.5 is its middle, and 0 a third below that.
  scaled = np.array([[0, -1], [1, -1 / 3]], np.float32)
  np.testing.assert_allclose(stored.rows.action[:2, :, 0], scaled, atol=1e-6)
  assert not stored.rows.action[2].any()
  assert stored.card["action_bounds"] == {"low": [-1.0], "high": [2.0]}
  assert stored.card["altered"] == {"actions_rescaled": 0.1, "rewards_averaged": 1.0}


def test_a_file_is_the_same_dataset(tmp_path):
  np.savez(tmp_path / "play.npz", **_given(max_steps=4, num_actions=3))
  stored = formats.read(str(tmp_path / "play.npz"))
  made = data.from_arrays(tmp_path / "x", **_given(), max_steps=4, num_actions=3)
  expected = store.read(made)
  assert stored.card["content_hash"] == expected.card["content_hash"]
  assert (stored.spec.name, stored.spec.max_steps) == ("npz/play", 4)
  assert stored.card["source"] == {"format": "npz", "path": "play.npz"}
  np.savez(tmp_path / "more.npz", **_given(reward=np.stack([_REWARD, -_REWARD], -1)))
  summed = formats.read(tmp_path / "more.npz", team_reward="sum")
  assert not summed.rows.reward.any()


@pytest.mark.parametrize(
  ("arrays", "message"),
  [
    ({"obs": np.array([{}], object)}, r"x.npz holds objects, which are pickled, must"),
    ({"states": _OBS}, "'states' must be one of obs, action, reward, terminal, leng"),
    ({"obs": None}, "x.npz: obs is missing; it has action, reward, terminal, lengths"),
    ({"max_steps": np.array([3])}, r"max_steps has shape \[1\], must be \[\]"),
    ({"max_steps": 2.5}, "max_steps: 2.5 must be a whole number, 1 at least"),
    ({"name": "mine"}, "x.npz: name is of type <U4, must be numbers"),
  ],
)
def test_files_that_are_refused(tmp_path, arrays, message):
  given = {k: v for k, v in _given(**arrays).items() if v is not None}
  np.savez(tmp_path / "x.npz", **given)
  with pytest.raises(ValueError, match=message):
    formats.read(tmp_path / "x.npz")


def test_no_file_is_unpickled(tmp_path):
  class Evil:
    def __reduce__(self):
      return (tmp_path.joinpath("ran").touch, ())

  np.savez(tmp_path / "x.npz", **_given(obs=np.array([Evil()], object)))
  with pytest.raises(ValueError, match="are pickled"):
    formats.read(tmp_path / "x.npz")
  assert not (tmp_path / "ran").exists()
  (tmp_path / "cut.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:99])
  with pytest.raises(ValueError, match="is cut short or no .npz"):
    formats.read(tmp_path / "cut.npz")


@pytest.mark.parametrize(
  ("changed", "message"),
  [
    ({"lengths": None}, "x: lengths is missing: the number of steps of each episode"),
    ({"lengths": [2.0, 3]}, r"lengths is float64 \[2\], must be whole numbers \[E\]"),
    ({"lengths": [5, 0]}, "lengths: 0 of episode 1 must be at least 1"),
    ({"lengths": [2, 4]}, r"obs has shape \[7, 2, 1\], must have 6 rows.*, or 8 with"),
    ({"obs": None}, "obs is missing"),
    ({"obs": _OBS[..., 0]}, r"obs has shape \[7, 2\], must be \[7, N, O\]"),
    ({"obs": _OBS.astype(str)}, "obs is of type <U32, must be numbers"),
    ({"obs": _OBS * np.nan}, "obs has NaN or infinity, row 0"),
    ({"obs": list(_OBS)}, "obs is a list of episodes, but action is an array; give li"),
    ({"action": _ACTION[:4]}, r"action has shape \[4, 2\], must be \[5, 2\]"),
    ({"action": _ACTION / 2}, r"action is float64 \[5, 2\], must be whole numbers"),
    (
      {"action": _ACTION[..., None]},
      r"int64 \[5, 2, 1\], must be whole numbers \[5, 2",
    ),
    ({"action": -_ACTION}, "action is not within 0 and 0, row 0"),
    ({"num_actions": 1}, "action 1 is not within 0 and 0, as num_actions 1 has it"),
    ({"num_actions": True}, "num_actions: True must be a whole number, 1 at least"),
    ({"reward": _REWARD[:, None]}, r"reward has shape \[5, 1\], must be \[5, 2\]"),
    ({"reward": _REWARD * np.inf}, "reward has NaN or infinity, row 0"),
    ({"terminal": _REWARD > 1}, r"terminal is bool \[5\], must be bool \[2\], one for"),
    ({"terminal": [0.5, 0]}, r"terminal is float64 \[2\], must be bool"),
    ({"terminal": [2, 0]}, r"terminal is int64 \[2\], must be bool"),
    ({"state": _OBS}, r"state has shape \[7, 2, 1\], must be \[7, S\]"),
    ({"state": _OBS[:5, 0]}, r"state has shape \[5, 1\], must be \[7, S\]"),
    ({"legal": _OBS > 2}, "action 1 of agent 1 is not legal in source step 0, row 0"),
    ({"max_steps": 2}, "max_steps 2, but episode 1 has 3 steps"),
    (
      {"action_range": "cut"},
      "action_range 'cut' must be one of refuse, clip, rescale",
    ),
    ({"scenario": "toy/none"}, "environment 'toy/none' is not one of"),
    ({"scenario": "toy/corridor"}, "x has obs_dim 1, but toy/corridor has 5"),
    (
      {"scenario": "toy/corridor", "max_steps": 7},
      "max_steps 7 is not 8, that of toy/corridor",
    ),
  ],
)
def test_arrays_that_are_refused(tmp_path, corridor, changed, message):
  if changed.get("legal") is not None:
    legal = np.ones((7, 2, 2), bool)
    legal[0, 1, 1] = False
    changed = {"legal": legal}
  with pytest.raises(ValueError, match=message):
    data.from_arrays(tmp_path / "x", **_given(**changed))
  assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
  ("name", "episode", "message"),
  [
    (
      "reward",
      [1.0],
      r"reward of episode 1 has shape \[1\], must be \[3\], for it has 3",
    ),
    ("obs", _OBS[3:6], r"obs of episode 1 has shape \[3, 2, 1\], must be \[4, 2, 1\]"),
    ("action", _ACTION[:0], "action is of episode 1, with no step"),
    ("obs", None, "obs is a list of 1 episodes, must be of 2, as action is"),
  ],
)
def test_lists_that_are_refused(tmp_path, name, episode, message):
  lists = {
    "obs": _split(_OBS, _LENGTHS + 1),
    "action": _split(_ACTION, _LENGTHS),
    "reward": _split(_REWARD, _LENGTHS),
  }
  lists[name] = lists[name][:1] + ([] if episode is None else [np.array(episode)])
  with pytest.raises(ValueError, match=message):
    data.from_arrays(tmp_path / "x", **lists, terminal=True)


def test_ends_that_look_like_a_time_limit(tmp_path):
  given = _given(terminal=True, lengths=np.ones(5, int) * 2)
  given |= {"obs": np.arange(15.0).reshape(15, 1, 1), "action": np.zeros((10, 1), int)}
  folder = data.from_arrays(tmp_path / "x", **given | {"reward": np.arange(10)})
  assert remarks.remarks(store.read(folder))[1].endswith(
    "if 2 is the time limit, terminal of these must be False"
  )


def test_a_scenario_that_plays_it(tmp_path, corridor):
  folder = data.from_arrays(
    tmp_path / "x",
    obs=np.zeros((3, 2, 5)),
    action=np.zeros((2, 2), int),
    reward=np.zeros(2),
    terminal=True,
    lengths=[2],
    state=np.zeros((3, 8)),
    scenario="toy/corridor",
  )
  stored = store.read(folder)
  assert stored.spec == corridor.spec and stored.card["scenario"] == "toy/corridor"
  assert stored.spec.max_steps == 8 and stored.spec.name == "toy/corridor"
  np.testing.assert_array_equal(stored.rows.legal, np.ones((3, 2, 3), bool))
