"""The mistakes of the table still have a place, and the tests still notice them."""

import pathlib

import pytest

from tests.mutants import run
from tests.mutants.table import MUTANTS

TESTS = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mistake_has_its_place(mutant):
  path, _ = run.place(mutant)
  assert path.suffix == ".py" and mutant.new != mutant.old
  for test in mutant.tests:
    file, _, name = test.partition("::")
    source = (TESTS / file).read_text()
    assert not name or f"def {name}(" in source, test


def test_names_are_unique():
  assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("old", ["no such text", "import jax\n"])
def test_a_place_that_is_gone_or_not_unique_is_told(tmp_path, old):
  folder = tmp_path / "logo_jax"
  folder.mkdir()
  (folder / "x.py").write_text("import jax\nimport jax\n")
  mutant = MUTANTS[0]._replace(file="x.py", old=old)
  with pytest.raises(ValueError, match=r"found [02] times in x\.py"):
    run.place(mutant, tmp_path)


@pytest.mark.slow
def test_every_mistake_is_noticed():
  assert run.run(MUTANTS) == []
