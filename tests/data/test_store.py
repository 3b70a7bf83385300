"""The dataset format: exact round trips, and one clear error per kind of damage."""

import json
import re

import numpy as np
import pytest

from logo_jax import types
from logo_jax.data import store

_SPEC = {
  "name": "toy/walk",
  "num_agents": 2,
  "obs_dim": 3,
  "state_dim": 4,
  "action_kind": "discrete",
  "action_dim": 5,
  "max_steps": 9,
  "obs_sizes": [2, 3],
}
_CARD = {"scenario": "toy/walk", "spec": _SPEC, "quality": "medium", "seed": 0}
_START = np.array([0, 3, 8, 10], np.int64)  # episodes of 2, 4 and 1 transitions


def _rows() -> types.Rows:
  rng = np.random.default_rng(0)
  legal = rng.random((10, 2, 5)) < 0.5
  legal[..., 1] = True
  action = np.ones((10, 2), np.int32)
  final = _START[1:] - 1
  action[final] = 0
  legal[final, :, 0] = False  # nobody acts there, so action 0 may be illegal
  reward = np.arange(10, dtype=np.float32)
  reward[final] = 0
  discount = np.ones(10, np.float32)
  discount[1] = 0
  return types.Rows(
    obs=rng.normal(size=(10, 2, 3)).astype(np.float32),
    state=rng.normal(size=(10, 4)).astype(np.float32),
    legal=legal,
    action=action,
    reward=reward,
    discount=discount,
  )


@pytest.fixture
def folder(tmp_path):
  return store.write(tmp_path / "toy" / "medium", _rows(), _START, _CARD)


def _changed(field: str, index, value) -> types.Rows:
  rows = _rows()
  getattr(rows, field)[index] = value
  return rows


def _damage(folder, field: str, index, value) -> None:
  """Changes one number of a stored array."""
  array = np.load(folder / f"{field}.npy")
  array[index] = value
  np.save(folder / f"{field}.npy", array)


def _edit_card(folder, **changes) -> None:
  card = json.loads((folder / "card.json").read_text()) | changes
  (folder / "card.json").write_text(json.dumps(card))


def test_round_trip_is_exact(folder):
  stored = store.read(folder)
  for name in types.STORED:
    array, expected = getattr(stored.rows, name), getattr(_rows(), name)
    assert isinstance(array, np.memmap)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)
  np.testing.assert_array_equal(stored.episode_start, _START)
  assert stored.spec == types.EnvSpec(**_SPEC | {"obs_sizes": (2, 3)})
  assert stored.card.items() >= _CARD.items()


def test_card_counts(folder):
  card = store.read(folder).card
  assert card["num_transitions"] == 7
  assert card["num_episodes"] == 3
  assert (card["length_min"], card["length_max"]) == (1, 4)
  assert card["length_mean"] == pytest.approx(7 / 3)
  returns = [0 + 1, 3 + 4 + 5 + 6, 8]
  assert card["return_mean"] == pytest.approx(np.mean(returns))
  assert card["return_std"] == pytest.approx(np.std(returns))


def test_continuous_actions(tmp_path):
  action = np.random.default_rng(0).uniform(-1, 1, (10, 2, 5)).astype(np.float32)
  action[_START[1:] - 1] = 0
  action[0, 0, :2] = (-1, 1)
  card = _CARD | {"spec": _SPEC | {"action_kind": "continuous"}}
  folder = store.write(tmp_path / "d", _rows()._replace(action=action), _START, card)
  np.testing.assert_array_equal(store.read(folder).rows.action, action)
  action[4, 1, 2] = 1.01
  with pytest.raises(ValueError, match="action is not within -1 and 1, row 4"):
    store.write(tmp_path / "e", _rows()._replace(action=action), _START, card)


def test_same_data_same_bytes(folder, tmp_path):
  again = store.write(
    tmp_path / "again", _rows(), _START, dict(reversed(_CARD.items()))
  )
  names = sorted(path.name for path in folder.iterdir())
  assert names == sorted([f"{name}.npy" for name in store.FIELDS] + ["card.json"])
  for name in names:
    assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_writing_the_same_again_is_fine(folder):
  assert store.write(folder, _rows(), _START, _CARD) == folder


def test_other_data_are_not_overwritten(folder):
  with pytest.raises(ValueError, match="exists and holds something else"):
    store.write(folder, _changed("reward", 0, 9.0), _START, _CARD)
  with pytest.raises(ValueError, match="exists and holds something else"):
    store.write(folder, _rows(), _START, _CARD | {"seed": 1})
  np.testing.assert_array_equal(store.read(folder).rows.reward, _rows().reward)


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
  def fail(*args, **kwargs):
    raise OSError("disk full")

  monkeypatch.setattr(np, "save", fail)
  with pytest.raises(OSError, match="disk full"):
    store.write(tmp_path / "d", _rows(), _START, _CARD)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ("field", "index", "value", "message"),
  [
    ("obs", (4, 1, 2), np.nan, "obs has NaN or infinity, row 4"),
    ("state", (7, 0), np.inf, "state has NaN or infinity, row 7"),
    ("reward", 3, -np.inf, "reward has NaN or infinity, row 3"),
    ("discount", 5, 2.0, "discount is not within 0 and 1, row 5"),
    ("legal", (6, 1), False, "legal allows some agent no action, row 6"),
    ("legal", (5, 0, 1), False, "(legal allows|action is not legal).*, row 5"),
    ("action", (8, 0), 5, "action is not within 0 and 4, row 8"),
    ("action", (8, 0), -1, "action is not within 0 and 4, row 8"),
    ("discount", 0, 0.0, "discount is below 1 before .* last transition, row 0"),
    ("discount", 5, 0.9, "discount is below 1 before .* last transition, row 5"),
    ("discount", 7, 0.0, "discount is not 1 on a final row, .*, row 7"),
    ("reward", 9, 0.5, "reward is not 0 on a final row, .*, row 9"),
    ("action", (2, 1), 3, "action is not 0 on a final row, .*, row 2"),
  ],
)
def test_bad_values_are_neither_written_nor_read(
  tmp_path, folder, field, index, value, message
):
  with pytest.raises(ValueError, match=f"dataset: {message}"):
    store.write(tmp_path / "bad", _changed(field, index, value), _START, _CARD)
  assert not (tmp_path / "bad").exists()
  _damage(folder, field, index, value)
  with pytest.raises(ValueError, match=f"{re.escape(str(folder))}: {message}"):
    store.read(folder)


def test_an_illegal_action_names_its_row(folder):
  _damage(folder, "legal", (4, 1), [True, False, True, True, True])
  with pytest.raises(ValueError, match="action is not legal, row 4"):
    store.read(folder)


def test_final_rows_have_no_action_to_check(folder):
  final = _START[1:] - 1
  assert not store.read(folder).rows.legal[final, :, 0].any()


@pytest.mark.parametrize(
  ("field", "array", "message"),
  [
    ("obs", np.zeros((10, 2, 3)), r"obs is float64 .* must be float32 \[10, 2, 3\]"),
    ("obs", np.zeros((10, 2, 4), np.float32), r"obs is float32 \[10, 2, 4\], must be"),
    ("state", np.zeros((9, 4), np.float32), r"state is float32 \[9, 4\], must be"),
    ("legal", np.ones((10, 2, 5), np.int8), "legal is int8 .* must be bool"),
    ("action", np.ones((10, 2), np.int64), "action is int64 .* must be int32"),
  ],
)
def test_wrong_types_and_shapes_are_refused(tmp_path, field, array, message):
  with pytest.raises(ValueError, match=message):
    store.write(tmp_path / "d", _rows()._replace(**{field: array}), _START, _CARD)


@pytest.mark.parametrize(
  ("start", "message"),
  [
    (_START.astype(np.int32), "episode_start is int32"),
    (_START[:1], r"must be int64 \[number of episodes \+ 1\]"),
    (np.array([0, 3, 8, 11]), "must rise from 0 to the number of rows, 10"),
    (np.array([0, 8, 3, 10]), "must rise"),
    (np.array([0, 1, 8, 10]), "at least 2 rows per episode"),
  ],
)
def test_wrong_offsets_are_refused(tmp_path, start, message):
  with pytest.raises(ValueError, match=message):
    store.write(tmp_path / "d", _rows(), start, _CARD)


def test_missing_folder(tmp_path):
  with pytest.raises(FileNotFoundError, match="there is no dataset folder .*nowhere"):
    store.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["card.json", "obs.npy", "episode_start.npy"])
def test_missing_file(folder, name):
  (folder / name).unlink()
  with pytest.raises(ValueError, match=f"{name} is missing"):
    store.read(folder)


@pytest.mark.parametrize("size", [0, 40, 130])
def test_truncated_array(folder, size):
  path = folder / "obs.npy"
  path.write_bytes(path.read_bytes()[:size])
  with pytest.raises(ValueError, match=r"obs\.npy is cut short or not a \.npy array"):
    store.read(folder, verify=False)


def test_pickles_are_not_opened(folder):
  np.save(folder / "reward.npy", np.array([{}] * 10), allow_pickle=True)
  with pytest.raises(ValueError, match=r"reward\.npy is cut short or not"):
    store.read(folder)


def test_array_of_another_dataset(folder):
  np.save(folder / "reward.npy", np.zeros(11, np.float32))
  with pytest.raises(ValueError, match=r"reward\.npy has shape \[11\], card.json says"):
    store.read(folder, verify=False)


def test_a_changed_number_is_noticed(folder):
  _damage(folder, "state", (2, 2), 0.5)
  with pytest.raises(ValueError, match="is corrupt: the arrays' hash is"):
    store.read(folder)
  store.read(folder, verify=False)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"format_version": 2}, "format_version 2 must be 1"),
    ({"spec": {}}, "spec.name: missing"),
    ({"shapes": None}, "shapes: must be of type object; got None"),
    ({"content_hash": None}, "content_hash: must be of type str; got None"),
  ],
)
def test_bad_card(folder, changes, message):
  _edit_card(folder, **changes)
  with pytest.raises(ValueError, match=message):
    store.read(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_card_that_is_no_card(folder, text):
  (folder / "card.json").write_text(text)
  with pytest.raises(ValueError, match="card.json (is not JSON|must hold)"):
    store.read(folder)


def test_an_empty_folder_will_do_and_is_left_if_writing_fails(tmp_path, monkeypatch):
  def fail(*args, **kwargs):
    raise OSError("disk full")

  folder = tmp_path / "x"
  folder.mkdir()
  with monkeypatch.context() as patch:
    patch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
      store.write(folder, _rows(), _START, _CARD)
  assert list(tmp_path.iterdir()) == [folder] and not list(folder.iterdir())
  assert store.read(store.write(folder, _rows(), _START, _CARD)).spec.num_agents == 2
