"""Datasets by name or by path, and the games they belong to."""

import dataclasses
import json

import numpy as np
import pytest

from logo_jax.configs import config
from logo_jax.data import collect, source, store
from logo_jax.envs import base

NAME = "smax/2s3z/medium"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  collect.collect(collect.Request(NAME, 300), folder)
  return folder


def test_a_name_and_the_path_behind_it_are_the_same_data(data_dir):
  by_name, by_path = source.read(NAME, data_dir), source.read(f"{data_dir}/{NAME}", "")
  assert by_name.card == by_path.card
  np.testing.assert_array_equal(by_name.rows.obs, by_path.rows.obs)
  assert source.environment(by_path.card, by_path.spec)[0] is base.make("smax/2s3z")


def test_what_is_a_path(data_dir, monkeypatch):
  monkeypatch.chdir(data_dir)
  assert not source.is_path(NAME)  # although there is a folder of that name
  assert not source.is_path("smax/2s3z/good")
  assert source.is_path(f"./{NAME}")
  assert source.is_path("somewhere/2s3z_medium.h5")
  assert not source.is_missing(NAME, data_dir)
  assert source.is_missing("smax/2s3z/expert", data_dir)
  assert not source.is_missing("somewhere/2s3z_medium.h5", data_dir)


def test_data_of_another_size_have_a_name_of_their_own(data_dir, tmp_path):
  small, usual = f"{NAME}@5000", (NAME, 100_000)
  assert source.resolve(NAME, 100_000, tmp_path) == usual
  assert source.resolve(NAME, 5_000, tmp_path) == (small, 5_000)
  assert source.resolve(small, 100_000, tmp_path) == (small, 5_000)
  assert source.resolve(small, 5_000, tmp_path) == (small, 5_000)
  assert source.resolve(f"{NAME}@100000", 100_000, tmp_path) == usual
  assert source.resolve("./x.h5", 5_000, tmp_path) == ("./x.h5", 5_000)
  for name, size, message in (
    (small, 700, "num_transitions: 700 is not the size of dataset 'smax/2s3z/medium@5"),
    (f"{NAME}@", 700, "dataset 'smax/2s3z/medium@' must be <suite>|@ must be a number"),
    (f"{NAME}@5e3", 700, "@5e3 must be a number of transitions, for example @5000"),
  ):
    with pytest.raises(ValueError, match=message):
      source.resolve(name, size, tmp_path)
      source.spec(name)
  # A folder of the plain name and of this size, as earlier versions made them.
  assert source.resolve(NAME, 300, data_dir) == (NAME, 300)
  assert source.resolve(NAME, 700, data_dir) == (f"{NAME}@700", 700)
  assert source.resolve(NAME, 100_000, data_dir) == usual


def test_a_missing_folder_names_those_of_other_sizes(tmp_path):
  (tmp_path / f"{NAME}@700").mkdir(parents=True)
  with pytest.raises(FileNotFoundError, match="medium; beside it there is medium@700"):
    source.read(NAME, tmp_path)


def test_what_is_known_before_there_are_data(data_dir):
  assert source.spec(NAME) == base.make("smax/2s3z").spec
  assert source.spec(str(data_dir)) is None
  with pytest.raises(FileNotFoundError, match="there is no file or folder nowhere.h5"):
    source.spec("nowhere.h5")
  with pytest.raises(ValueError, match="'good' .* is not one of"):
    source.spec("smax/2s3z/good")


def test_options_are_the_readers(data_dir):
  assert config.DataConfig().reader_options() == {}
  options = config.DataConfig(time_limit=9, timeout_bootstrap=False).reader_options()
  assert options == {"time_limit": 9, "timeout_bootstrap": False}
  with pytest.raises(
    ValueError, match="time_limit cannot be set for 'smax/2s3z/medium'"
  ):
    source.read(NAME, data_dir, {"time_limit": 9})
  with pytest.raises(ValueError, match="no option time_limit"):
    source.read(f"{data_dir}/{NAME}", "", {"time_limit": 9})


def test_data_under_another_name_are_refused(data_dir, tmp_path):
  stored = store.read(data_dir / NAME)
  store.write(tmp_path / "smax/2s3z/expert", *stored)
  with pytest.raises(
    ValueError, match="holds 'smax/2s3z/medium', expected 'smax/2s3z/"
  ):
    source.read("smax/2s3z/expert", tmp_path)


def test_data_of_another_environment_are_refused(data_dir, tmp_path):
  stored = store.read(data_dir / NAME)
  spec = json.loads(json.dumps(stored.spec.stored() | {"max_steps": 7}))
  card = stored.card | {"spec": spec}
  store.write(tmp_path / NAME, stored.rows, stored.episode_start, card)
  with pytest.raises(ValueError, match="'max_steps': 7.*but the env") as caught:
    source.read(NAME, tmp_path)
  assert len(str(caught.value)) < 1000  # the layout would be many times that


def test_data_that_nobody_plays(data_dir, monkeypatch):
  stored = store.read(data_dir / NAME)

  def why_not(scenario, spec=stored.spec):
    env, why = source.environment(stored.card | {"scenario": scenario}, spec)
    assert env is None
    return why

  assert "no environment here plays" in why_not(None)
  assert "'smac/3m' is not one of" in why_not("smac/3m")
  other = dataclasses.replace(stored.spec, obs_dim=3)
  assert "'obs_dim': 127" in why_not("smax/2s3z", other)
  robot = base.make("mamujoco/hopper-3x1").spec
  card = stored.card | {"scenario": "mamujoco/hopper-3x1"}
  assert source.environment(card, robot)[0] is base.make("mamujoco/hopper-3x1")

  def not_installed(name):
    raise ImportError("robots need MuJoCo")

  monkeypatch.setattr(base, "make", not_installed)
  assert why_not("mamujoco/hopper-3x1") == "robots need MuJoCo"
