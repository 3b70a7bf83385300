"""Manifests, what they make of records, and the repository's own results."""

import dataclasses
import pathlib
import shutil
import subprocess
import sys

import pytest

from logo_jax.io import files
from logo_jax.sweep import manifest, paper_table, reproduce
from tests.reporting.test_records import _run as finished_run
from tests.reporting.test_records import record

ROOT = pathlib.Path(__file__).parents[2]
TABLES = sorted(manifest.FOLDER.glob("*.toml"))
TEXT = """
table = "9"
title = "Table 9"
labels = ["map"]
flagship = ["logo_macql"]
paper_flagship = "LOGO"
[[systems]]
entry = "bc"
[[systems]]
entry = "macql"
paper = "MACQL"
[[systems]]
entry = "logo_macql"
paper = "LOGO"
[[systems]]
entry = "dreamer"
[[rows]]
labels = ["3m"]
dataset = "mamujoco/hopper-3x1/medium"
[rows.paper]
MACQL = [10.0, 1.0]
LOGO = [11.0, 1.0]
[[rows]]
labels = ["2 steps"]
dataset = "mamujoco/hopper-3x1/medium"
set = "horizon=2"
"""


def _read(tmp_path, text=TEXT):
  path = tmp_path / "9.toml"
  path.write_text(text)
  return manifest.read(path)


def _options(tmp_path, **more):
  return reproduce.Options(root=str(tmp_path / "runs"), budget="quick", **more)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_papers_tables_are_read(path):
  found = manifest.read(path)
  assert found.table == path.stem
  unknown = set(found.missing()) - {"mamba", "mazero", "logo_mpc", "macql_mpc"}
  assert not unknown
  assert all(row.paper or row.kind == "model_step" for row in found.rows)


def test_the_paper_claims_28_of_32_rows():
  both = [manifest.read(path) for path in TABLES if path.stem in "23"]
  said = [paper_table.counts(table, {}) for table in both]
  assert "LOGO in the paper: best by the mean in 18 of 20" in said[0]
  assert "LOGO in the paper: best by the mean in 10 of 12" in said[1]


def test_a_folder_of_other_runs_is_no_row_that_does_not_fit(tmp_path):
  first = next(
    cell
    for cell in reproduce.plan(_read(tmp_path), _options(tmp_path)).cells
    if cell.kind == "experiment"
  )
  folder = pathlib.Path(_options(tmp_path).root) / first.name
  files.write_json(folder / "config.json", first.config | {"seed": 7})
  with pytest.raises(ValueError, match=r"^seed: \d+ differs from 7 in "):
    reproduce.plan(_read(tmp_path), _options(tmp_path))


def test_a_plan_shares_runs_and_names_what_is_missing(tmp_path):
  found = reproduce.plan(_read(tmp_path), _options(tmp_path))
  assert found.left_out == {"dreamer": "not in this version"}
  names = [cell.name for cell in found.cells]
  folder = "mamujoco-hopper-3x1-medium"
  runs = [name.removeprefix(f"{folder}/") for name in names if name.startswith(folder)]
  # What sets the horizon of those that imagine nothing is another run all the same.
  assert runs[:3] == ["bc", "macql", "logo_macql"]
  assert "logo_macql:horizon=2" in runs
  assert sum(name.startswith("fits/") for name in names) == 1
  one = reproduce.plan(_read(tmp_path), _options(tmp_path, systems=("bc",)))
  assert [cell.kind for cell in one.cells[:2]] == ["data", "experiment"]


def test_names_that_no_table_has_are_refused(tmp_path):
  tables = [manifest.read(path) for path in TABLES if path.stem in "23"]
  one_of_each = "smax/2s3z/medium", "mamujoco/ant-2x4/medium"
  options = _options(tmp_path, datasets=one_of_each, systems=("bc", "omiga"))
  reproduce.check_names(tables, options)
  plans = [reproduce.plan(table, options) for table in tables]
  assert [{p.row.dataset for p in plan.places} for plan in plans] == [
    {name} for name in one_of_each
  ]
  for field, allowed in (("datasets", one_of_each[0]), ("systems", "bc, ")):
    wrong = dataclasses.replace(options, **{field: ("x",)})
    message = f"{field}: 'x' is in none of the tables: .*{allowed}"
    with pytest.raises(ValueError, match=message):
      reproduce.check_names(tables, wrong)


def test_a_row_that_sets_what_is_set_anyway_is_the_same_run(tmp_path):
  text = TEXT.replace("horizon=2", "horizon=5")  # the presets'
  found = reproduce.plan(_read(tmp_path, text), _options(tmp_path))
  assert not [cell.name for cell in found.cells if ":" in cell.name]
  assert len(found.places) == 6


def test_a_table_beside_the_papers(tmp_path):
  table = _read(tmp_path)
  out = tmp_path / "out"
  figures = {"bc": [1.0, 1.2], "macql": [1.9, 2.1], "logo_macql": [2.2, 2.4]}
  for system, seeds in figures.items():
    files.write_json(out / f"3m--{system}.json", record(system, seeds))
  text = paper_table.render(table, out)
  lines = [
    [cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n")
  ]
  lines = [line for line in lines if line]
  assert lines[0] == ["map", "", "data", "bc", "macql", "logo_macql", "dreamer"]
  # 2.0 + 0.2 reaches 2.3 - 0.2, and 1.1 + 0.2 does not.
  assert lines[2][1:] == [
    "here", "1.50", "1.10 ± 0.20", "**2.00 ± 0.20**", "**2.30 ± 0.20**", "–"
  ]  # fmt: skip
  assert lines[3][1:] == ["normalised", "0.25", "0.05", "0.50", "0.65", "–"]
  assert lines[4][1:] == ["paper", "–", "–", "10.00 ± 1.00", "**11.00 ± 1.00**", "–"]
  assert "best or tied within the intervals in 1 of 1 rows" in text
  assert "Not there yet: dreamer." in text
  assert "| logo_macql | 0.65" in text  # the interquartile mean
  assert r"\textbf{2.30 $\pm$ 0.20}" in (out / "table.tex").read_text()
  assert r"logo\_macql" in (out / "table.tex").read_text()


def test_less_may_be_better():
  row = manifest.Row(("a",), "x", better="less")
  means = {"a": (1.0, 0.1), "b": (1.15, 0.1), "c": (1.3, 0.1)}
  assert paper_table.best(row, means) == {"a", "b"}
  assert paper_table.best(row, {"a": (1.0, None), "b": (1.1, None)}) == {"a"}


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    ('["3m"]', '["3m", "x"]', r"rows.labels: \('3m', 'x'\) are not as many as labels"),
    ("MACQL = [10.0, 1.0]", "X = [1.0]", "rows.paper.X: must be"),
    ('labels = ["map"]', 'labels = ["data"]', "labels: 'data' is another column's"),
    ('["logo_macql"]', '["x"]', "flagship: 'x' is none of bc"),
    ('entry = "bc"', 'entry = "macql"', "systems: macql twice"),
    ("[[rows]]", "[[rows", "is no TOML"),
    ('table = "9"', 'tabel = "9"', "tabel: unknown key"),
  ],
)
def test_bad_manifests_are_refused(tmp_path, old, new, message):
  with pytest.raises(ValueError, match=message):
    _read(tmp_path, TEXT.replace(old, new, 1))


def test_the_repositorys_tables_are_those_of_its_results(tmp_path):
  """The command that README names gives what is there, to the letter."""
  shutil.copytree(ROOT / "results", tmp_path / "results")
  made = sorted((tmp_path / "results").glob("*/*/*.*"))
  made = [path for path in made if path.suffix in (".md", ".tex", ".csv")]
  assert made
  for path in made:
    path.unlink()
  command = [sys.executable, str(ROOT / "experiments/reproduce.py"), "--render"]
  command.append("--figures=false")
  command.append(f"--results={tmp_path / 'results'}")
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  for path in made:
    committed = ROOT / "results" / path.relative_to(tmp_path / "results")
    assert path.read_text() == committed.read_text(), committed


def test_a_folder_without_results_is_no_table(tmp_path):
  (tmp_path / "4").mkdir()
  command = [sys.executable, str(ROOT / "experiments/reproduce.py"), "--render"]
  command += ["--table=4", f"--results={tmp_path}"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 1
  assert done.stderr == (
    f"error: results: {tmp_path} has no folder <table>/<budget>, where the table is 4; "
    "name one that has\n"
  )


@pytest.mark.parametrize(("seed", "said"), [(0, ""), (7, " --seed=7")])
def test_a_record_tells_the_command_that_gives_it(tmp_path, seed, said):
  options = _options(tmp_path, systems=("bc",), seed=seed)
  planned = reproduce.plan(_read(tmp_path), options)
  more = {"seed": seed, "dataset_episodes": 9, "updates_per_second": 5.0}
  finished_run(tmp_path / "runs" / planned.places[0].cell.name, **more)
  assert reproduce.write_records(planned, options.root, tmp_path / "out") >= 1
  found = paper_table.read(tmp_path / "out")["3m"]["bc"]
  assert found["seed"] == seed
  assert found["command"] == f"logo-jax reproduce --table=9 --budget=quick{said}"


def test_curves_are_drawn_of_records(tmp_path):
  table, out = _read(tmp_path), tmp_path / "out"
  curve = {"share": [0.5, 1.0], "mean": [1.0, 2.0], "ci95": [None, None]}
  files.write_json(out / "3m--bc.json", record("bc", [1.0], curve=curve))
  files.write_json(out / "3m--macql.json", record("macql", [1.0]))  # not played
  paper_table.draw(table, out)
  assert (out / "curves.png").stat().st_size > 5_000
  assert "<svg" in (out / "curves.svg").read_text()
  before = (out / "curves.svg").read_bytes()
  paper_table.draw(table, out)
  assert (out / "curves.svg").read_bytes() == before


def test_references_are_never_the_best(tmp_path):
  text = TEXT.replace('paper = "MACQL"', 'paper = "MACQL"\nreference = true')
  table, out = _read(tmp_path, text), tmp_path / "out"
  for system, seeds in {"macql": [3.0], "bc": [1.0], "logo_macql": [2.0]}.items():
    files.write_json(out / f"3m--{system}.json", record(system, seeds))
  made = paper_table.render(table, out)
  assert "**2.00 ± 0.20**" in made and "**3.00 ± 0.20**" not in made
  assert "tied within the intervals in 1 of 1" in made
