"""The README's snippet runs as it stands, and commands name what exists."""

import pathlib
import re

import jax
import numpy as np
import pytest

from logo_jax import cli, entries, model_study

README = pathlib.Path(__file__).parents[1] / "README.md"
PAGES = (README, README.parent / "experiments" / "RESULTS.md")


def test_snippet_of_the_pure_functions():
  (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
  names: dict = {}
  # As strictly as anybody may have it.
  with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
    exec(snippet, names)  # our own text
  assert np.isfinite(names["loss"])
  assert names["u"].shape == (256,)
  assert names["index"].shape == (32,)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_name_files_that_exist(page: pathlib.Path):
  names = re.findall(r"(?:experiments|benchmarks)/[\w/]+\.(?:py|md)", page.read_text())
  assert names
  for name in names:
    assert (README.parent / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_name_systems_and_models_that_exist(page: pathlib.Path):
  text = page.read_text().replace("\\\n", "")
  found = re.findall(r"--(models|presets)=([^\s`]+)", text)
  assert found
  for flag, value in found:
    parse = model_study.models if flag == "models" else entries.systems
    assert len(parse(value.split(","))) == value.count(",") + 1
  for value in re.findall(r"--config=([^\s`]+)", text):
    cli.ConfigParser().parse(value)
