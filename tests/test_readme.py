"""The README's snippet runs as it stands."""

import pathlib
import re

import numpy as np

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_snippet_of_the_pure_functions():
  (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
  names: dict = {}
  exec(snippet, names)  # our own text
  assert np.isfinite(names["loss"])
  assert names["u"].shape == (256,)
  assert names["index"].shape == (32,)


def test_commands_name_files_that_exist():
  text = README.read_text()
  for name in re.findall(r"(?:experiments|benchmarks)/[\w/]+\.py", text):
    assert (README.parent / name).exists(), name
