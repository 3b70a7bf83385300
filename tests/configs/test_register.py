"""Components, environments and datasets of others, by names of their own."""

import dataclasses
import sys
import types
from typing import Any

import pytest

from logo_jax.configs import registry
from logo_jax.data import source, store
from logo_jax.envs import base
from tests import toys


@pytest.fixture
def somebodys(monkeypatch):
  """A module with a learner and a game; all is forgotten at the end."""

  @dataclasses.dataclass(frozen=True)
  class Config:
    rate: float = 0.5

  module = types.ModuleType("somebodys")
  vars(module).update(
    Config=Config, SCENARIOS=("corridor",), make=lambda *args: toys.corridor()
  )
  monkeypatch.setitem(sys.modules, "somebodys", module)
  monkeypatch.setitem(sys.modules, "empty", types.ModuleType("empty"))
  modules = {kind: dict(names) for kind, names in registry._MODULES.items()}
  monkeypatch.setattr(registry, "_MODULES", modules)
  for place, table in (
    (base, "_SUITES"),
    (base, "_PACKAGES"),
    (source, "_REGISTERED"),
  ):
    monkeypatch.setattr(place, table, dict(getattr(place, table)))
  yield module
  base.make.cache_clear()


@pytest.mark.parametrize(
  ("name", "wins"),
  [
    ("smax/3m", True),
    ("jumanji/lbf-8x8-2p-2f-coop", True),
    ("jumanji/rware-tiny-2ag", False),
    ("mamujoco/ant-2x4", False),
    ("og_marl/3m", False),
  ],
)
def test_which_games_can_be_won(name, wins):
  assert base.has_wins(name) == wins


def test_a_learner(somebodys):
  for _ in range(2):
    registry.register("learner", "mine", "somebodys")
  assert registry.names("learner")[-1] == "mine"
  assert registry.component("learner", "mine", rate=1.0).config.rate == 1.0
  for arguments, message in (
    (("learners", "mine", "somebodys"), "kind 'learners' must be one of model, unc"),
    (("learner", "bc", "somebodys"), "'bc' is taken, by logo_jax.learners.bc; choose"),
    (("learner", "other", "empty"), "empty must have a dataclass Config and a fun"),
  ):
    with pytest.raises(ValueError, match=message):
      registry.register(*arguments)
  assert "other" not in registry.names("learner")


def test_an_environment(somebodys):
  for _ in range(2):
    base.register("toy", "somebodys", ("numpy",))
  assert "toy/corridor" in base.names()
  assert base.make("toy/corridor").spec == toys.corridor().spec
  assert base.has_wins("toy/corridor")
  assert set(base.versions("toy/corridor")) == {"jax", "numpy"}
  for arguments, message in (
    (("smax", "somebodys"), "suite 'smax' is taken, by logo_jax.envs.smax; choose"),
    (("a/b", "somebodys"), "suite 'a/b' must be a name without /"),
    (("empty", "empty"), "empty must have SCENARIOS and a function make"),
  ):
    with pytest.raises(ValueError, match=message):
      base.register(*arguments)


def test_a_dataset(somebodys, tmp_path):
  played = toys.random_play(toys.corridor(), 5)
  spec = played.card["spec"] | {"name": "somebody/else", "max_steps": 99}
  path = store.write(tmp_path / "x", *played[:2], {"name": "x", "spec": spec})
  base.register("toy", "somebodys")
  for _ in range(2):
    source.register("mine/corridor", path, "toy/corridor")
  source.register("unplayed", path)
  assert source.spec("mine/corridor") is None and not source.is_path("mine/corridor")
  assert not source.is_missing("mine/corridor", tmp_path)
  assert source.resolve("mine/corridor", 700, tmp_path) == ("mine/corridor", 700)
  stored = source.read("mine/corridor", tmp_path)
  assert stored.card["name"] == "mine/corridor"
  env, why = source.environment(stored.card, stored.spec)
  assert env is base.make("toy/corridor"), why
  other = source.read("unplayed", tmp_path)
  assert source.environment(other.card, other.spec)[0] is None
  clashes: tuple[tuple[Any, str], ...] = (
    (("smax/2s3z/medium", path), "'smax/2s3z/medium': the name is taken"),
    (("./x", path), "'./x': the name is taken, or is a path's"),
    (("unplayed", path, "toy/corridor"), "'unplayed': the name is taken"),
    (("new", path, "toy/maze"), "environment 'toy/maze' is not one of"),
  )
  for arguments, message in clashes:
    with pytest.raises(ValueError, match=message):
      source.register(*arguments)


def test_a_dataset_that_the_environment_does_not_fit(somebodys, tmp_path):
  base.register("toy", "somebodys")
  played = toys.random_play(toys.corridor(), 5)
  rows = played.rows._replace(state=played.rows.state[:, :-1].copy())
  spec = played.card["spec"] | {"name": "somebody/else", "state_dim": 7}
  path = store.write(tmp_path / "x", rows, played.episode_start, {"spec": spec})
  source.register("mine/corridor", path, "toy/corridor")
  with pytest.raises(
    ValueError, match="mine/corridor has state_dim 7, but toy/corridor has 8"
  ):
    source.read("mine/corridor", tmp_path)
