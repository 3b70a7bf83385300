"""The notebooks run, with tiny sizes, and are what they are committed as."""

import ast
import importlib
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
_MOST_BYTES = 120_000  # of what cells have printed and drawn, in all notebooks

# Notebook to what replaces the constants of its cell of parameters, and what holds at
# its end.
TINY = {
  "learning_in_the_model": (
    "TRANSITIONS = 1_500\nFIT_UPDATES = 20\nHIDDEN_SIZE = 8\nCLONE_UPDATES = 20\n"
    "VALUE_UPDATES = 2\nUPDATES = 4\nINTERVAL = 2\nSTARTS = 8\nEPISODES = 4",
    "assert list(curve('evaluation/win_rate')[0]) == [0, 2, 4]\n"
    "assert results['updates'] == 4 and np.isfinite(list(in_data.values())).all()",
  ),
  "own_learner": (
    "EPISODES = 60\nUPDATES = 400",
    "assert off['best'] < off['awc'] < off['data'], off",
  ),
  "world_model": (
    "TRANSITIONS = 1_500\nFIT_UPDATES = 200\nFIT_INTERVAL = 50\nHIDDEN_SIZE = 8\n"
    "WINDOWS = 32",
    "state, still = errors['state_mse']['1'][0], moved['state_mse']['1']\n"
    "assert 0 < state < 3 and 0.2 < still < 0.5, (state, still)\n"
    "assert seen['imagined'].shape == (steps, 10) and (seen['u'] > 0).all()",
  ),
}


def _cells(path: pathlib.Path, kind: str) -> list[dict]:
  cells = json.loads(path.read_text())["cells"]
  return [cell for cell in cells if cell["cell_type"] == kind]


def _source(cell: dict) -> str:
  return "".join(cell["source"])


def _parameters(path: pathlib.Path) -> str:
  (found,) = [
    _source(cell)
    for cell in _cells(path, "code")
    if "parameters" in cell["metadata"].get("tags", [])
  ]
  return found


def _assigned(code: str) -> set[str]:
  nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assign)]
  return {t.id for node in nodes for t in node.targets if isinstance(t, ast.Name)}


def test_all_notebooks_are_run_and_told_of():
  names = {path.stem for path in NOTEBOOKS}
  assert names == set(TINY)
  page = (ROOT / "docs/notebooks.md").read_text()
  assert names == set(re.findall(r"(\w+)\.ipynb", page))
  assert "notebooks.md" in (ROOT / "mkdocs.yml").read_text()


def test_what_cells_have_left_is_small_and_of_nobodys_machine():
  left = [
    json.dumps(cell["outputs"])
    for path in NOTEBOOKS
    for cell in _cells(path, "code")
    if cell["outputs"]
  ]
  assert sum(map(len, left)) <= _MOST_BYTES
  for text in left:
    assert '"error"' not in text and '"stderr"' not in text
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_imports_and_links_to_exists(path):
  assert _assigned(TINY[path.stem][0]) == _assigned(_parameters(path))
  for cell in _cells(path, "code"):
    for node in ast.walk(ast.parse(_source(cell))):
      if isinstance(node, ast.ImportFrom) and (node.module or "")[:8] == "logo_jax":
        module = importlib.import_module(node.module or "")
        for name in [alias.name for alias in node.names]:
          if not hasattr(module, name):
            importlib.import_module(f"{node.module}.{name}")
  for cell in _cells(path, "markdown"):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", _source(cell)):
      assert (path.parent / link).exists(), link


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook(tmp_path, monkeypatch, path):
  nbformat = pytest.importorskip("nbformat")
  nbclient = pytest.importorskip("nbclient")
  pytest.importorskip("ipykernel")
  monkeypatch.setenv("PYTHONPATH", str(ROOT))
  monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
  notebook = nbformat.read(path, as_version=4)
  sizes, check = TINY[path.stem]
  (at,) = [
    i
    for i, c in enumerate(notebook.cells)
    if "parameters" in c.metadata.get("tags", [])
  ]
  notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(sizes))
  notebook.cells.append(nbformat.v4.new_code_cell(check))
  folder = {"metadata": {"path": str(tmp_path)}}
  nbclient.NotebookClient(notebook, timeout=1_800, resources=folder).execute()
