import dataclasses

import jax
import numpy as np
import pytest

from logo_jax.data import dataset
from logo_jax.envs import base
from logo_jax.layout import Column, Layout, Table
from logo_jax.types import EnvSpec, Rows
from tests import toys

# Two steps that end at the time limit, one that terminates, three steps: with the final
# observations 3 + 2 + 4 rows.
STARTS = np.array([0, 3, 5, 9])


def _stored():
  row = np.arange(9, dtype=np.float32)
  rows = Rows(
    obs=np.stack([row, -row], -1)[..., None],
    state=np.stack([row, np.ones(9, np.float32)], -1),
    legal=np.ones((9, 2, 3), bool),
    action=np.zeros((9, 2), np.int32),
    reward=np.array([1, 2, 0, 5, 0, 1, 1, -4, 0], np.float32),
    discount=np.array([1, 1, 1, 0, 1, 1, 1, 1, 1], np.float32),
  )
  return toys.stored(EnvSpec("toy/rows", 2, 1, 2, "discrete", 3, 5), rows, STARTS)


def test_transitions_never_cross_episodes():
  loaded = dataset.load(_stored())
  np.testing.assert_array_equal(loaded.data.starts, [0, 1, 3, 5, 6, 7])
  t = dataset.transitions(loaded.data.rows, loaded.data.starts)
  np.testing.assert_array_equal(t.state[:, 0], [0, 1, 3, 5, 6, 7])
  np.testing.assert_array_equal(t.next_state[:, 0], [1, 2, 4, 6, 7, 8])
  np.testing.assert_array_equal(t.next_obs[:, 1, 0], [-1, -2, -4, -6, -7, -8])
  np.testing.assert_array_equal(t.discount, [1, 1, 0, 1, 1, 1])


def test_windows_stay_inside_their_episode():
  episodes = dataset.Episodes(first=STARTS[:-1], last=STARTS[1:] - 1)
  np.testing.assert_array_equal(dataset.window_starts(episodes, 2), [0, 5, 6])
  np.testing.assert_array_equal(dataset.window_starts(episodes, 3), [5])
  assert len(dataset.window_starts(episodes, 4)) == 0


def test_splits_are_disjoint_by_episode_and_complete():
  loaded = toys.load_corridor(50)
  parts = [np.asarray(getattr(loaded.data, s)) for s in ("train", "select", "test")]
  joined = np.concatenate(parts)
  assert len(set(joined)) == len(joined)
  assert set(joined) == set(np.asarray(loaded.data.starts))
  # A transition and its successor in the same episode are in the same split.
  owner = {row: split for split, part in enumerate(parts) for row in part}
  for row in joined:
    assert owner.get(row + 1, owner[row]) == owner[row]
  again = toys.load_corridor(50)
  np.testing.assert_array_equal(loaded.data.test, again.data.test)


def test_statistics_by_hand():
  loaded = dataset.load(_stored())
  train = np.asarray(loaded.data.train)
  s = loaded.statistics
  assert not s.state.varies[1] and s.state.scale[1] == 1.0
  np.testing.assert_allclose(s.obs.mean, 0.0, atol=1e-6)  # the agents' signs cancel
  np.testing.assert_allclose(
    s.reward.mean, np.asarray(loaded.data.rows.reward)[train].mean()
  )
  # Returns-to-go: (3, 2), (5), (-2, -3, -4).
  assert s.return_range == (-4.0, 5.0)
  # Two of three episodes are cut; the reward of 5 comes with the end of the third.
  assert s.cut_rewards == (-4.0, 2.0)


def test_unlike_agents_have_moments_of_their_own(monkeypatch):
  """Where the layout gives a place another meaning, and only there."""
  table = Table((Column("x", shared=False),), ((0,), (-1,)))
  other = dataclasses.replace(table, index=((-1,), (0,)))
  for tables, alike in (((table, other), False), ((table, table), True)):
    layout = Layout(2, table, tables, ((0,), (1,)), ((-1,), (-1,)))
    monkeypatch.setattr(base, "layout", lambda spec, of=layout: of)
    loaded = dataset.load(_stored())
    mean = loaded.statistics.obs.mean
    if alike:
      np.testing.assert_allclose(mean, [0.0], atol=1e-6)
    else:  # of the same rows, with opposite signs
      first, last = int(loaded.data.train[0]), int(loaded.data.train[-1]) + 1
      np.testing.assert_allclose(mean, np.array([[1.0], [-1.0]]) * (first + last) / 2)


def test_too_few_episodes_are_refused():
  stored = _stored()
  short = stored._replace(
    rows=jax.tree.map(lambda x: x[:5], stored.rows), episode_start=STARTS[:3]
  )
  with pytest.raises(ValueError, match="2 episodes"):
    dataset.load(short)
