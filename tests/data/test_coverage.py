"""Distinct steps and copies of episodes, counted by hand."""

import numpy as np

from logo_jax.data import coverage, dataset, inspect
from logo_jax.types import EnvSpec, Rows
from tests import toys

# Episodes of 2, 1, 2 and 2 transitions, each with its final observation.
START = np.array([0, 3, 5, 8, 11])
OBS = np.array([1, 2, 3, 2, 9, 1, 2, 3, 1, 2, 3], np.float32).reshape(-1, 1, 1)
ACTION = np.array([0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0], np.int32).reshape(-1, 1)
REWARD = np.array([5, 0, 0, 0, 0, 5, 0, 0, 5, 1, 0], np.float32)


def test_distinct_pairs_and_copies_by_hand():
  """Steps (1, 0) and (2, 1), again and again; episode 2 is 0, episode 3 earns more."""
  found = coverage.measure(OBS, ACTION, REWARD, START)
  assert found.saco == 2 / 7
  np.testing.assert_array_equal(found.first_like, [0, 1, 0, 3])
  np.testing.assert_array_equal(found.identical, [0, 0, 1, 0])


def test_what_makes_a_step_another_one():
  obs = OBS.copy()
  obs[5] = -0.0
  obs[8] = 0.0  # the same number
  assert coverage.measure(obs, ACTION, REWARD, START).saco == 3 / 7
  action = ACTION.copy()
  action[5] = 3
  found = coverage.measure(obs, action, REWARD, START)
  assert found.saco == 4 / 7
  assert not found.identical.any()
  # A final observation is part of an episode, but no step.
  obs = OBS.copy()
  obs[7] = 4
  found = coverage.measure(obs, ACTION, REWARD, START)
  assert found.saco == 2 / 7 and not found.identical.any()


def test_order_counts_and_blocks_do_not():
  rng = np.random.default_rng(0)
  rows = rng.integers(0, 3, (20_000, 4)).astype(np.float32)  # more than one block
  hashes = coverage.row_hashes(rows)
  assert len(np.unique(hashes)) == len(np.unique(rows, axis=0)) == 81
  assert hashes[0] == coverage.row_hashes(rows[:1])[0]


def _stored(num: int, copies: int):
  """`num` episodes of one step, of which the last `copies` are those of the first."""
  obs = np.arange(2 * num, dtype=np.float32)
  obs[2 * (num - copies) :] = obs[: 2 * copies]
  rows = Rows(
    obs=obs.reshape(-1, 1, 1),
    state=obs.reshape(-1, 1),
    legal=np.ones((2 * num, 1, 2), bool),
    action=np.zeros((2 * num, 1), np.int32),
    reward=np.zeros(2 * num, np.float32),
    discount=np.ones(2 * num, np.float32),
  )
  spec = EnvSpec("toy/copies", 1, 1, 1, "discrete", 2, 1)
  return toys.stored(spec, rows, np.arange(0, 2 * num + 1, 2))


def test_copies_are_in_the_same_split():
  loaded = dataset.load(_stored(40, copies=20))
  assert loaded.card["identical_episodes"] == 0.5
  for name, size in (("train", 32), ("select", 4), ("test", 4)):
    starts = np.asarray(getattr(loaded.data, name))
    assert len(starts) == size
    np.testing.assert_array_equal(starts[: size // 2] + 40, starts[size // 2 :])


def test_without_copies_the_split_is_that_of_the_episodes():
  loaded = dataset.load(_stored(20, copies=0))
  select, test, train = np.split(np.random.default_rng(0).permutation(20), [2, 4])
  for name, episodes in (("train", train), ("select", select), ("test", test)):
    starts = np.asarray(getattr(loaded.data, name))
    np.testing.assert_array_equal(starts, 2 * np.sort(episodes))


def test_inspection_says_both():
  summary = inspect.summarise(_stored(4, copies=1))
  assert (summary.saco, summary.identical_episodes) == (3 / 4, 1 / 4)
  card = {"saco": 1.0, "identical_episodes": 0.25}
  assert inspect.disagreements(card, summary) == ["saco is 0.75, the card says 1.0"]
