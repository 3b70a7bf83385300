"""Minari's files of joint play: theirs is what reads ours, and we read ours."""

import json
import sys

import h5py
import numpy as np
import pytest

from logo_jax import data
from logo_jax.data import formats, store
from logo_jax.data.formats import minari

# Two agents; an episode of two steps that ends by itself, one of three that is cut.
_LENGTHS = [2, 3]


def _stored(folder, continuous: bool) -> store.StoredDataset:
  rng = np.random.default_rng(0)
  action = rng.integers(3, size=(5, 2))
  legal = rng.random((7, 2, 3)) < 0.5
  legal[[0, 1, 3, 4, 5], :, :] |= np.eye(3, dtype=bool)[action]
  discrete = {"action": action, "legal": legal}
  chosen = {"action": rng.uniform(-1, 1, (5, 2, 2))} if continuous else discrete
  made = data.from_arrays(
    folder / "own",
    obs=rng.normal(size=(7, 2, 4)),
    state=rng.normal(size=(7, 3)),
    reward=rng.normal(size=5),
    terminal=[True, False],
    lengths=_LENGTHS,
    **chosen,
  )
  return store.read(made)


def _by_hand(stored: store.StoredDataset, folder, **metadata) -> None:
  """The layout as it is described, without minari."""
  (folder / "data").mkdir(parents=True)
  text = json.dumps({"total_episodes": 2, "logo_jax": stored.card} | metadata)
  (folder / "data/metadata.json").write_text(text)
  with h5py.File(folder / "data/main_data.hdf5", "w") as file:
    for e, (begin, stop) in enumerate([(0, 3), (3, 7)]):
      steps = slice(begin, stop - 1)
      for name in ("obs", "state", "legal"):
        rows = getattr(stored.rows, name)[begin:stop]
        file[f"episode_{e}/observations/{name}"] = rows.astype(float)
      file[f"episode_{e}/actions"] = stored.rows.action[steps]
      file[f"episode_{e}/rewards"] = stored.rows.reward[steps]
      last = np.arange(stop - begin - 1) == stop - begin - 2
      file[f"episode_{e}/terminations"] = last & (e == 0)
      file[f"episode_{e}/truncations"] = last & (e == 1)


def _same(one: store.StoredDataset, other: store.StoredDataset) -> None:
  assert one.card == other.card
  for name, array in one.rows.stored().items():
    np.testing.assert_array_equal(array, other.rows.stored()[name], err_msg=name)


@pytest.mark.parametrize("continuous", [False, True])
def test_the_layout_is_read(tmp_path, continuous):
  stored = _stored(tmp_path, continuous)
  _by_hand(stored, tmp_path / "x-v0")
  _same(stored, formats.read(tmp_path / "x-v0"))


@pytest.mark.parametrize("continuous", [False, True])
def test_minari_opens_ours_and_it_comes_back(tmp_path, monkeypatch, continuous):
  theirs = pytest.importorskip("minari")
  stored = _stored(tmp_path, continuous)
  folder = minari.write(stored, tmp_path / "root" / "toy-play-v0")
  assert [path.name for path in (tmp_path / "root").iterdir()] == ["toy-play-v0"]
  _same(stored, formats.read(folder))
  monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
  opened = theirs.load_dataset("toy-play-v0")
  assert (opened.total_episodes, opened.total_steps) == (2, 5)
  for episode, begin, length in zip(
    opened.iterate_episodes(), (0, 3), _LENGTHS, strict=True
  ):
    for name in ("obs", "state", "legal"):
      rows = getattr(stored.rows, name)[begin : begin + length + 1]
      np.testing.assert_array_equal(episode.observations[name], rows)
    steps = slice(begin, begin + length)
    np.testing.assert_array_equal(episode.actions, stored.rows.action[steps])
    np.testing.assert_array_equal(episode.rewards, stored.rows.reward[steps])
    last = np.arange(length) == length - 1
    np.testing.assert_array_equal(episode.terminations, last & (length == 2))
    np.testing.assert_array_equal(episode.truncations, last & (length == 3))
    for action, legal in zip(episode.actions, episode.observations["legal"], strict=0):
      assert opened.action_space.contains(action)
      assert opened.observation_space["legal"].contains(legal)
  with pytest.raises(ValueError, match="toy-play-v0 exists; remove it first"):
    minari.write(stored, folder)


def test_what_cannot_be_written(tmp_path, monkeypatch):
  stored = _stored(tmp_path, False)
  with pytest.raises(ValueError, match="play must be named <name>-v<number>"):
    minari.write(stored, tmp_path / "play")
  monkeypatch.setitem(sys.modules, "minari", None)
  with pytest.raises(ImportError, match=r"needs minari: pip install 'logo_jax\[minari"):
    minari.write(stored, tmp_path / "play-v0")
  assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_discount_that_is_neither_end_nor_cut(tmp_path):
  pytest.importorskip("minari")
  stored = _stored(tmp_path, False)
  discount = np.array(stored.rows.discount)
  discount[5] = 0.5
  stored = stored._replace(rows=stored.rows._replace(discount=discount))
  with pytest.raises(
    ValueError, match="discount 0.5 of row 5: Minari has only 0 and 1"
  ):
    minari.write(stored, tmp_path / "play-v0")


def test_what_is_not_ours_or_damaged_is_refused(tmp_path):
  stored = _stored(tmp_path, False)
  _by_hand(stored, tmp_path / "x-v0", logo_jax=None)
  with pytest.raises(ValueError, match="not ours, .* make a dataset of its episodes"):
    formats.read(tmp_path / "x-v0")
  for key, value, message in (
    ("episode_1", None, "episode_1 is missing; it has episode_0"),
    ("episode_0/rewards", None, "rewards is missing; it has actions, "),
    ("episode_0/rewards", [1.0, 2.0], "is corrupt: its data are not those"),
    ("episode_1/observations/obs", np.ones((4, 2, 9)), "main_data.hdf5: obs: "),
    ("episode_0/actions", np.ones((2, 2)) * 7, "action is not within 0 and 2"),
    ("episode_0/observations", h5py.ExternalLink("x", "y"), "it is a link, which is"),
  ):
    folder = tmp_path / key.replace("/", "-") / str(message[:9].strip()) / "y-v0"
    _by_hand(stored, folder)
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
      del file[key]
      if value is not None:
        file[key] = value
    with pytest.raises(ValueError, match=message):
      formats.read(folder)
