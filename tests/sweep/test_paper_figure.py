"""Figures: their manifests, the numbers behind them, and the pictures."""

import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from logo_jax.configs import presets, registry
from logo_jax.io import files
from logo_jax.sweep import cells, figure_manifest, paper_figure, pictured, reproduce
from tests.evaluation.test_model_error import _counting, _model
from tests.reporting.test_records import _run as finished_run
from tests.reporting.test_records import record

FIGURES = sorted(figure_manifest.FOLDER.glob("*.toml"))
ROOT = pathlib.Path(__file__).parents[2]
HOPPER = "mamujoco/hopper-3x1/medium"
TEXT = """
figure = "9"
title = "Figure 9"
datasets = ["mamujoco/hopper-3x1/medium"]
[[systems]]
entry = "macql"
[[systems]]
entry = "morel"
[[systems]]
entry = "logo_macql"
paper = "LOGO"
[[systems]]
entry = "dreamer"
[[parts]]
kind = "model_states"
[[parts]]
kind = "visits"
systems = ["macql"]
"""


def _read(tmp_path, text=TEXT):
  path = tmp_path / "9.toml"
  path.write_text(text)
  return figure_manifest.read(path)


def _figure(number):
  return figure_manifest.read(figure_manifest.FOLDER / f"{number}.toml")


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_the_papers_figures_are_read(path):
  found = figure_manifest.read(path)
  assert found.figure == path.stem
  assert found.on().missing() == ()


def test_figure_3_has_every_kind_of_world_model():
  configs = [presets.get(system.preset) for system in _figure(3).systems]
  names = {config.model.name for config in configs if config.model}
  assert names == {*registry.names("model")} - {"simulator"}


def test_a_figure_is_planned_as_tables_are(tmp_path):
  options = reproduce.Options(root=str(tmp_path / "runs"), budget="quick")
  table = _read(tmp_path).on()
  found = reproduce.plan(table, options)
  kinds = [cell.kind for cell in found.cells]
  assert kinds == ["data", "fit", "model_states", "experiment", "visits"]
  states, visits = found.cells[2], found.cells[-1]
  assert states.name == "mamujoco-hopper-3x1-medium/logo_macql-states"
  assert states.needs == tuple(cell.name for cell in found.cells[:2])
  assert visits.needs == ("mamujoco-hopper-3x1-medium/macql",)
  assert visits.config == {"episodes": 4}  # the budget's, of a host
  reasons = [f"{what}: {why}" for what, why in found.left_out.items()]
  assert "macql" in reasons[0] and "has no world model" in reasons[0]
  assert "morel" in reasons[1] and "observations alone, no states" in reasons[1]
  assert reasons[2:] == ["dreamer: not in this version"]
  other = _read(tmp_path).on(["mamujoco/ant-2x4/expert"])
  assert {row.dataset for row in other.rows} == {"mamujoco/ant-2x4/expert"}
  with pytest.raises(ValueError, match="'mamujoco/ant-2x4/good'"):
    _read(tmp_path).on(["mamujoco/ant-2x4/good"])


def test_records_of_finished_cells_are_all_that_pictures_need(tmp_path):
  root, out = tmp_path / "runs", tmp_path / "out"
  figure = _read(tmp_path)
  options = reproduce.Options(root=str(root), budget="quick")
  planned = reproduce.plan(figure.on(), options)
  states, run, visits = (planned.cells[i] for i in (2, 3, 4))
  assert reproduce.write_records(planned, root, out) == 0
  about = {"shares": [0.5, 0.25], "dataset_hash": "d", "device": "", "versions": {}}
  points = {"true": [[0, 1], [1, 0]], "predicted": [[0, 1], [1, 2]]}
  measures = {"state_rmse": {"1": _measure(0.5)}}
  about |= {"measures": measures, "persistence": {"state_rmse": {"1": 0.75}}}
  files.write_json(cells.mark(states, root), about | {"points": points})
  points = {"data": [[0, 1], [1, 0]], "visited": [[0, 1], [1, 2], [0, 3]]}
  about = {"measures": {"spread": _measure(1.5)}, "shares": [0.5, 0.25]}
  finished_run(root / run.name)
  files.write_json(cells.mark(visits, root), about | {"points": points})
  assert reproduce.write_records(planned, root, out) == 2
  (found,) = paper_figure.read(figure, out).values()
  assert found["visits"]["macql"]["points"] == points
  assert found["visits"]["macql"]["measures"]["return"]["mean"] == 2.0
  text = paper_figure.render(figure, out)
  assert "| logo_macql | 0.500 |     0.750 |" in text
  assert f"reproduce --figure=9 --budget=quick --datasets={HOPPER}\n" in text


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    ('"model_states"', '"states"', r"parts\[0\].kind: must be one of .*'states'"),
    ('["macql"]', '["x"]', r"parts\[1\].systems: 'x' is none of macql, morel"),
    ('entry = "morel"', 'entry = "macql"', "systems: macql twice"),
    ('kind = "visits"', 'kind = "model_states"', "parts: model_states twice"),
    (f'["{HOPPER}"]', "[]", "datasets: none are given"),
    ('title = "Figure 9"', "", "title: missing"),
    ('figure = "9"', 'picture = "9"', "picture: unknown key; allowed are datasets"),
    ("[[parts]]", "[[parts", "is no TOML"),
  ],
)
def test_bad_manifests_are_refused(tmp_path, old, new, message):
  with pytest.raises(ValueError, match=message):
    _read(tmp_path, TEXT.replace(old, new, 1))


def test_states_lie_on_principal_components_worked_out_by_hand():
  # Along (3, 4) / 5 with deviation 5, across it, (4, -3) / 5, with deviation 1.
  along, across = np.array([0.6, 0.8]), np.array([0.8, -0.6])
  centre = np.array([7.0, 1.0])
  x = centre + np.array([5 * along, -5 * along, across, -across])
  plane = pictured.plane_of(x)
  np.testing.assert_allclose(plane.shares, [25 / 26, 1 / 26])
  np.testing.assert_allclose(
    plane.points(x), [[5, -5, 0, 0], [0, 0, 1, -1]], atol=1e-12
  )
  # Others are seen from the same centre.
  np.testing.assert_allclose(
    plane.points(centre[None] + [[3.0, 4.0]]), [[5], [0]], atol=1e-12
  )
  u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
  np.testing.assert_allclose(np.abs(plane.points(x)), np.abs((u * s).T), atol=1e-12)


def test_points_are_few_and_short():
  points = np.stack([np.arange(1000) / 7, np.zeros(1000)])
  kept = np.array(pictured.kept(points))
  assert kept.shape == (2, pictured.POINTS)
  assert kept[0, 0] == 0 and kept[0, -1] == round(999 / 7, 3)


def test_states_of_a_model_whose_errors_are_known():
  loaded = _counting()
  params = np.array([0.0, 0.5], np.float32)  # seeds; the second one drifts
  imagination = types.SimpleNamespace(model=_model())
  fitted = types.SimpleNamespace(imagination=imagination, params=params)
  found = pictured.model_states(fitted, loaded)  # type: ignore
  exact, drifts = found["measures"]["state_rmse"]["1"]["seeds"]
  # Half a step wrong in one of two features that vary: times 0 to 5 have a deviation of
  # sqrt(35 / 12), and the second feature is twice the first.
  assert exact == 0
  assert drifts == pytest.approx(np.sqrt((0.25 / (35 / 12) + 0) / 2))
  moved = found["persistence"]["state_rmse"]["1"]
  assert moved == pytest.approx(1 / np.sqrt(35 / 12))
  true, predicted = (found["points"][name] for name in ("true", "predicted"))
  assert np.shape(true) == (2, 5)
  np.testing.assert_array_equal(true, predicted)  # those of the first seed
  np.testing.assert_allclose(found["shares"], [1, 0], atol=1e-6)  # both count alike
  imagination.model = _model(predicts_state=False)
  with pytest.raises(ValueError, match="no states"):
    pictured.model_states(fitted, loaded)  # type: ignore


def _measure(mean):
  return {"mean": mean, "ci95": None, "seeds": [mean]}


def _write(out, system, kind, measures, dataset="smax/3m/medium", **more):
  found = record(system, [2.0], dataset, kind=kind, **more)
  found["measures"] |= {name: _measure(x) for name, x in measures.items()}
  files.write_json(out / f"{dataset.replace('/', '-')}-{kind}--{system}.json", found)


def _drawn(figure, out):
  (path,) = paper_figure.draw(figure, out)
  assert path.with_suffix(".png").stat().st_size > 10_000
  return path.read_bytes()


def _write_states(out, **more):
  points = {"true": [[0, 1, 2], [1, 0, 1]], "predicted": [[0, 1, 3], [1, 0, 2]]}
  about = {"persistence": {"state_rmse": {"1": 0.625}}, "shares": [0.5, 0.25]}
  about |= {"points": points} | more
  _write(out, "mamba", "model_states", {"state_rmse_1": 0.5}, **about)
  _write(out, "logo", "model_states", {"state_rmse_1": 0.375}, **about)


def test_figure_3_of_records(tmp_path):
  _write_states(tmp_path)
  text = paper_figure.render(_figure(3), tmp_path)
  assert [line.split() for line in text.splitlines() if line[:1] == "|"][2:] == [
    ["|", "mamba", "|", "0.500", "|", "0.625", "|"],
    ["|", "logo", "|", "0.375", "|", "0.625", "|"],
  ]
  assert "budget quick, one seed; its figures say nothing" in text
  assert (tmp_path / "figure.md").read_text() == text
  assert _drawn(_figure(3), tmp_path) == _drawn(_figure(3), tmp_path)


def test_figure_4_of_records(tmp_path):
  points = {"data": [[0, 1], [1, 0]], "visited": [[0, 1, 3], [1, 0, 2], [0, 0.5, 9]]}
  for system in ("macql", "logo"):
    about = {"shares": [0.5, 0.25], "points": points}
    _write(tmp_path, system, "visits", {"spread": 1.5, "reward": 0.25}, **about)
  text = paper_figure.render(_figure(4), tmp_path)
  row = next(line for line in text.splitlines() if "macql" in line)
  assert row.split()[3:] == "2.000 ± 0.200 | 0.500 ± 0.100 | 1.500 | 0.250 |".split()
  _drawn(_figure(4), tmp_path)


def test_figure_1_of_records(tmp_path):
  errors = {f"state_rmse_{h}": h / 10 for h in (10, 1, 5)}
  moved = {"state_rmse": {str(h): 1.0 for h in (1, 5, 10)}}
  for system in ("mamba", "logo_macql", "logo"):
    _write(tmp_path, system, "model_error", errors, persistence=moved)
    _write(tmp_path, system, "experiment", {})
  _write(tmp_path, "macql", "experiment", {})
  text = paper_figure.render(_figure(1), tmp_path)
  assert "error at 1 | error at 5 | error at 10" in text
  _drawn(_figure(1), tmp_path)
  (found,) = paper_figure.read(_figure(1), tmp_path).values()
  shown = paper_figure._motivation(_figure(1), found)
  assert {k: list(v) for k, v in shown.errors.items()} == {
    "MAMBA": ["mamba"], "LOGO": ["logo_macql", "logo"]
  }  # fmt: skip
  np.testing.assert_allclose(shown.errors["MAMBA"]["mamba"][1], [0.1, 0.5, 1.0])
  assert list(shown.returns) == ["macql", "mamba", "logo_macql", "logo"]
  assert shown.data_return == 1.5 and shown.persistence == {1: 1.0, 5: 1.0, 10: 1.0}


def test_what_is_damaged_or_of_other_data_is_refused(tmp_path):
  _write_states(tmp_path)
  name = "smax-3m-medium-model_states--direct"
  points = {"true": [[0, 1, 2], [1, 0, 1]], "predicted": [[0, 1]]}
  about = {"points": points, "shares": [1, 0]}
  _write(tmp_path, "direct", "model_states", {}, **about)
  message = rf"{name}\.json: points\.predicted: must be 2 lists of numbers"
  with pytest.raises(ValueError, match=message):
    paper_figure.draw(_figure(3), tmp_path)
  _write(tmp_path, "direct", "model_states", {}, dataset_hash="other", **about)
  with pytest.raises(ValueError, match="dataset_hash: its data are other ones than"):
    paper_figure.draw(_figure(3), tmp_path)


@pytest.mark.slow
def test_figures_by_their_command(tmp_path):
  """Of tiny data; what is finished is not done again, and pictures are those again."""
  command = [
    sys.executable,
    str(ROOT / "experiments/reproduce.py"),
    *("--figure=3", "--figure=4", "--budget=quick", "--systems=logo_macql"),
    f"--results={tmp_path / 'results'}",
  ]
  data = [
    "--datasets=smax/2s3z/medium-replay@1500",
    f"--data_dir={tmp_path / 'data'}",
    f"--run_dir={tmp_path / 'runs'}",
  ]
  done = subprocess.run([*command, *data], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert done.stderr.count(": begun") == 5  # data, fit, states, run and visits
  made = sorted((tmp_path / "results").glob("figure?/quick/*"))
  kinds = [path.stem.rpartition("-")[2] for path in made if path.suffix == ".svg"]
  assert kinds == ["model_states", "visits"]
  records = [path for path in made if path.suffix == ".json"]
  assert len(records) == 2 and all(path.stat().st_size < 40_000 for path in records)
  again = subprocess.run([*command, *data], capture_output=True, text=True, check=False)
  assert "0 of 5 cells to do" in again.stderr and ": begun" not in again.stderr
  assert again.stdout == done.stdout
  before = {path: path.read_bytes() for path in made if path.suffix in (".svg", ".md")}
  for path in before:
    path.unlink()
  command = [x for x in [*command, "--render"] if not x.startswith("--systems")]
  subprocess.run(command, check=True, capture_output=True)
  assert {path: path.read_bytes() for path in before} == before
