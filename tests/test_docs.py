"""The pages on extending do what they say: their blocks run, in order."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "docs/extending" / f"{name}.md" for name in ("data", "game", "learner")]
_SLOW = "# takes longer\n"  # the first line of a block that only slow tests run


def _blocks(page: pathlib.Path) -> list[tuple[str, str]]:
  """Language and text of each block that can be run."""
  return re.findall(r"^```(python|bash)\n(.*?)^```$", page.read_text(), re.M | re.S)


def _file_of(language: str, text: str) -> str | None:
  """The name of the file that a block is, by its first line; None if it is run."""
  found = re.match(r"# (\w+\.py)\n", text)
  return found[1] if found and language == "python" else None


def _run(page: pathlib.Path, folder: pathlib.Path, slow: bool) -> None:
  """Runs a page's blocks; files of the others are there, too."""
  (folder / "experiments").symlink_to(ROOT / "experiments")
  for language, text in [block for other in PAGES for block in _blocks(other)]:
    if name := _file_of(language, text):
      (folder / name).write_text(text)
  env = os.environ | {
    "PYTHONPATH": str(ROOT),
    "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
  }
  for language, text in _blocks(page):
    if _file_of(language, text) or (text.startswith(_SLOW) and not slow):
      continue
    command = [sys.executable, "-c"] if language == "python" else ["bash", "-ec"]
    done = subprocess.run(
      [*command, text], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_all_pages_are_run():
  assert sorted(PAGES) == sorted((ROOT / "docs/extending").glob("*.md"))
  text = (ROOT / "mkdocs.yml").read_text()
  for page in PAGES:
    assert f"extending/{page.name}" in text


@pytest.mark.parametrize(
  "page",
  [PAGES[0], *(pytest.param(page, marks=pytest.mark.slow) for page in PAGES[1:])],
  ids=lambda page: page.stem,
)
def test_a_page(tmp_path, page):
  _run(page, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_with_what_takes_longer(tmp_path, page):
  if any(text.startswith(_SLOW) for _, text in _blocks(page)):
    _run(page, tmp_path, slow=True)
