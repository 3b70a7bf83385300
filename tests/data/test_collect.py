"""Collection: whole episodes in a fixed order, reproducibly."""

import collections
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax import types
from logo_jax.behaviours import library, policy, qualities
from logo_jax.data import collect, record, store

_NAME = "smax/2s3z/medium-replay"
_SIZE = 700


def _collect(out, seed=0):
  return collect.collect(collect.Request(_NAME, _SIZE, seed), out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return _collect(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def stored(folder):
  return store.read(folder)


def test_folder_and_card(folder, stored):
  assert folder.parts[-3:] == ("smax", "2s3z", "medium-replay")
  card = stored.card
  assert card["name"] == _NAME
  assert (card["scenario"], card["quality"]) == ("smax/2s3z", "medium-replay")
  assert card["seed"] == 0
  behaviour = qualities.behaviour("medium-replay", library.index("smax/2s3z"))
  assert card["behaviour"].items() >= behaviour.mode._asdict().items()
  assert card["behaviour"]["protocol"].startswith("sampled play, as in training")
  played = [snapshot["name"] for snapshot in card["behaviour"]["snapshots"]]
  assert played == list(behaviour.snapshots)
  assert set(played) == set(card["shares"])
  assert sum(card["shares"].values()) == pytest.approx(1, abs=1e-5)
  assert set(card["versions"]) == {"logo_jax", "jax", "jaxmarl", "numpy"}
  assert 0 <= card["win_rate"] <= 1


def test_just_enough_whole_episodes(stored):
  lengths = np.diff(stored.episode_start) - 1
  assert lengths.sum() >= _SIZE > lengths[:-1].sum()
  assert lengths.max() <= stored.spec.max_steps


def test_rows_follow_the_rules_of_an_episode(stored):
  rows, final = stored.rows, stored.episode_start[1:] - 1
  np.testing.assert_array_equal(rows.action[final], 0)
  np.testing.assert_array_equal(rows.reward[final], 0)
  np.testing.assert_array_equal(rows.discount[final], 1)
  lengths = np.diff(stored.episode_start) - 1
  ends = np.zeros(len(rows.reward), bool)
  ends[final - 1] = True
  np.testing.assert_array_equal(rows.discount[~ends], 1)
  short = lengths < stored.spec.max_steps
  np.testing.assert_array_equal(rows.discount[final[short] - 1], 0)


def test_rows_are_consecutive(stored):
  """Health never rises within an episode (no shields), and is full at its start."""
  units = stored.rows.state[:, :100].reshape(-1, 10, 10)
  health = units[..., 0]
  first = stored.episode_start[:-1]
  np.testing.assert_array_equal(health[first], 1)
  inside = np.ones(len(health) - 1, bool)
  inside[first[1:] - 1] = False
  assert (np.diff(health, axis=0)[inside] <= 1e-6).all()


def test_rewards_are_the_fall_in_enemy_health(stored):
  enemies = stored.rows.state[:, :100].reshape(-1, 10, 10)[:, 5:, 0]
  final = stored.episode_start[1:] - 1
  fall = -np.diff(enemies, axis=0).mean(-1)
  won = (enemies[final] == 0).all(-1)
  fall[final - 1] += won
  transition = np.setdiff1d(np.arange(len(fall)), final)
  np.testing.assert_allclose(
    stored.rows.reward[transition], fall[transition], atol=1e-5
  )
  assert stored.card["win_rate"] == pytest.approx(won.mean())


def test_same_seed_same_bytes_other_seed_other_data(folder, tmp_path):
  again = _collect(tmp_path / "again")
  for path in folder.iterdir():
    assert path.read_bytes() == (again / path.name).read_bytes()
  other = store.read(_collect(tmp_path / "other", seed=1))
  assert other.card["content_hash"] != store.read(folder).card["content_hash"]


def test_what_was_asked_for_has_a_hash_of_its_own(folder, stored):
  """Whatever came; the size is part of it, the name's way of saying it is not."""
  env = types.EnvSpec(**stored.spec.stored())
  index = library.index("smax/2s3z")
  behaviour = qualities.behaviour("medium-replay", index)

  def asked(name, size=_SIZE, seed=0, index=index):
    request = collect.Request(name, size, seed)
    return collect._card(request, env, index, behaviour)["request_hash"]

  assert stored.card["request_hash"] == asked(_NAME) == asked(f"{_NAME}@{_SIZE}")
  other = dataclasses.replace(index, params_hash="other")
  others = {asked(_NAME, 701), asked(_NAME, seed=1), asked(_NAME, index=other)}
  assert len(others | {stored.card["request_hash"]}) == 4


def test_another_size_in_the_name(folder, stored, tmp_path):
  small = collect.collect(collect.Request(f"{_NAME}@{_SIZE}", _SIZE), tmp_path)
  assert small == tmp_path / f"{_NAME}@{_SIZE}"
  card = store.read(small).card
  assert card["name"] == f"{_NAME}@{_SIZE}"
  assert card["content_hash"] == stored.card["content_hash"]  # the same episodes
  with pytest.raises(ValueError, match="num_transitions 100000 is not the size of 'sm"):
    collect.collect(collect.Request(f"{_NAME}@{_SIZE}"), tmp_path)


def test_a_second_collection_into_the_same_folder(folder, monkeypatch):
  out = folder.parents[2]
  monkeypatch.setattr(record, "record", None)  # nothing is played again
  assert _collect(out) == folder
  with pytest.raises(ValueError, match="a dataset with seed 0, asked for is 1; remove"):
    _collect(out, seed=1)


def test_datasets_of_one_seed_share_no_episodes(stored, tmp_path):
  request = collect.Request("smax/2s3z/medium", 200)
  other = store.read(collect.collect(request, tmp_path))
  starts = {row.tobytes() for row in stored.rows.state[stored.episode_start[:-1]]}
  others = {row.tobytes() for row in other.rows.state[other.episode_start[:-1]]}
  assert len(starts) == len(stored.episode_start) - 1
  assert not starts & others


def _stream(lasts: list[list[int]]) -> np.ndarray:
  """Episodes of each environment by their lengths in rows, as flags `[T, B]`."""
  flags = []
  for lengths in lasts:
    flags.append(np.zeros(20, bool))
    flags[-1][np.cumsum(lengths) - 1] = True
  return np.stack(flags, axis=1)


def test_episodes_are_taken_in_order_not_as_they_finish():
  # Environment 0 plays short episodes, environment 1 a long one first.
  last = _stream([[2, 2, 2, 2], [12, 3]])
  begin, end = collect._first_episodes(last, 12)
  # Number 0: rows 0-1 of 0. Number 1: rows 0-11 of 1. 1 + 11 transitions are enough.
  assert begin.tolist() == [0 * 2 + 0, 0 * 2 + 1]
  assert end.tolist() == [1 * 2 + 0, 11 * 2 + 1]
  begin, end = collect._first_episodes(last, 14)
  assert begin.tolist() == [0, 1, 2 * 2, 12 * 2 + 1]
  assert end.tolist() == [2, 23, 3 * 2, 14 * 2 + 1]


def test_an_unfinished_episode_is_waited_for():
  last = _stream([[2, 2, 2, 2], [12]])  # number 3 is missing; 4 and 5 must not jump it
  assert len(collect._first_episodes(last, 13)[0]) == 3
  assert len(collect._first_episodes(last, 14)[0]) == 0
  assert len(collect._first_episodes(np.zeros((5, 2), bool), 1)[0]) == 0


def test_every_block_of_episodes_has_everybody_once():
  game = record.Game(_corridor(), 60, room=9)
  cast = record._Cast((), jnp.int32(6), 0.0, jax.random.key(0))
  who = np.asarray(record._assign(game, cast, jnp.zeros(60, int)))
  np.testing.assert_array_equal(
    np.sort(who.reshape(10, 6)), np.tile(np.arange(6), (10, 1))
  )
  assert len({tuple(block) for block in who.reshape(10, 6)}) > 5


def _corridor() -> types.Environment:
  """One agent; action 1 ends the episode with reward 1, action 0 goes on, up to 4."""
  spec = types.EnvSpec("toy/corridor", 1, 1, 1, "discrete", 2, 4)

  def show(time, reward, done):
    return types.TimeStep(
      obs=jnp.full((1, 1), time, jnp.float32),
      state=jnp.full((1,), time, jnp.float32),
      legal=jnp.ones((1, 2), bool),
      reward=jnp.asarray(reward, jnp.float32),
      discount=1.0 - jnp.asarray(done, jnp.float32),
      last=done | (time >= 4),
      won=jnp.asarray(done),
    )

  def reset(key):
    del key
    time = jnp.zeros((), jnp.int32)
    return time, show(time, 0.0, jnp.zeros((), bool))

  def step(time, action, key):
    del key
    time = time + 1
    return time, show(time, action[0] == 1, action[0] == 1)

  return types.Environment(spec, reset, step)


def _on_host() -> types.HostEnvironment:
  """The same game in numpy."""
  spec = _corridor().spec

  def show(time, reward, done):
    return types.TimeStep(
      obs=time.astype(np.float32)[:, None, None],
      state=time.astype(np.float32)[:, None],
      legal=np.ones((len(time), 1, 2), bool),
      reward=reward.astype(np.float32),
      discount=1 - done.astype(np.float32),
      last=done | (time >= 4),
      won=done,
    )

  def reset(rng, num):
    time = np.zeros(num, int)
    return time, show(time, time, time > 0)

  def step(time, action):
    return time + 1, show(time + 1, action[:, 0] == 1, action[:, 0] == 1)

  return types.HostEnvironment(spec, reset, step)


def _play(env, params, num_envs, num_transitions):
  game = record.Game(env, num_envs, room=3)
  chunks = record.record(game, params, policy.SAMPLED, jax.random.key(0))
  complete = []
  played = collect._assemble(chunks, num_transitions, complete.append)
  assert complete == sorted(complete)
  assert 0 < complete[0] <= complete[-1] == num_transitions
  return played


@pytest.mark.parametrize("make", [_corridor, _on_host])
def test_recorded_lengths_have_the_true_law(make):
  """Uniform play ends after 1, 2, 3, 4 steps with 1/2, 1/4, 1/8, 1/8."""
  uniform = policy.FlatParams([(jnp.zeros((2, 2)), jnp.zeros(2))])
  rows, start, played = _play(make(), [uniform], 16, 8000)
  lengths = np.diff(start) - 1
  counts = collections.Counter(lengths.tolist())
  for length, share in {1: 1 / 2, 2: 1 / 4, 3: 1 / 8, 4: 1 / 8}.items():
    assert counts[length] / len(lengths) == pytest.approx(share, abs=0.03)
  # Time in the observation counts up from 0, so nothing is lost or mixed up.
  within = np.arange(start[-1]) - np.repeat(start[:-1], lengths + 1)
  np.testing.assert_array_equal(rows.obs[:, 0, 0], within)
  final = start[1:] - 1
  np.testing.assert_array_equal(rows.discount[final - 1], 1 - played.won)
  np.testing.assert_array_equal(rows.reward[final - 1], played.won)
  assert 0 < (~played.won).sum() < len(lengths) / 8


@pytest.mark.parametrize("make", [_corridor, _on_host])
def test_episodes_are_played_by_whom_they_are_assigned_to(make):
  biases = jnp.array([[-50.0, 50.0], [50.0, -50.0]])  # ends at once; goes on
  params = [policy.FlatParams([(jnp.zeros((2, 2)), bias)]) for bias in biases]
  _, start, played = _play(make(), params, 8, 300)
  np.testing.assert_array_equal(np.diff(start) - 1, np.where(played.behaviour, 4, 1))
  blocks = played.behaviour[: len(played.behaviour) // 2 * 2].reshape(-1, 2)
  np.testing.assert_array_equal(blocks.sum(1), 1)
  waves = played.behaviour[: len(played.behaviour) // 8 * 8].reshape(-1, 8)
  assert len({tuple(wave) for wave in waves}) > 3  # not the same in every wave


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("2s3z", "must be <suite>/<scenario>/<quality>"),
    ("smax/2s3z/good", "'good' .* is not one of: medium-replay, medium, mixed, expert"),
    ("smax/9z/medium", "'smax/9z' is not one of: .*smax/2s3z"),
    ("smax/3m/medium", "'smax/3m' has no behaviour policies; there are .*smax/2s3z"),
  ],
)
def test_unknown_datasets_are_refused(tmp_path, name, message):
  with pytest.raises(ValueError, match=message):
    collect.collect(collect.Request(name, 100), tmp_path)
  assert list(tmp_path.iterdir()) == []


def test_no_transitions_are_refused(tmp_path):
  with pytest.raises(ValueError, match="num_transitions 0 must be at least 1"):
    collect.collect(collect.Request(_NAME, 0), tmp_path)
