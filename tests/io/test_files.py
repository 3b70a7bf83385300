"""Files that are whole or absent."""

import os
import pathlib

import numpy as np
import pytest

from logo_jax.io import files


def test_replacing_is_all_or_nothing(tmp_path):
  path = tmp_path / "a.txt"
  files.write_text(path, "old")
  with pytest.raises(KeyError), files.replacing(path) as temporary:
    assert temporary.suffix == ".txt"
    temporary.write_text("half")
    raise KeyError
  assert path.read_text() == "old"
  files.write_text(path, "new")
  assert path.read_text() == "new"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_folders_above_are_made(tmp_path):
  files.write_text(tmp_path / "new/folder/a.txt", "there")
  assert (tmp_path / "new/folder/a.txt").read_text() == "there"


def test_files_are_as_readable_as_others(tmp_path):
  (tmp_path / "plain").touch()
  files.write_text(tmp_path / "written", "")
  modes = {(tmp_path / name).stat().st_mode for name in ("plain", "written")}
  assert len(modes) == 1


def test_plain_values():
  value = {"a": (np.int32(1), np.float64(np.inf)), "b": pathlib.Path("x"), "c": True}
  assert files.plain(value) == {"a": [1, None], "b": "x", "c": True}
  with pytest.raises(ValueError, match="key 1 is not allowed"):
    files.plain({1: 2})
