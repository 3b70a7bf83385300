"""From systems and datasets to cells; nothing is trained."""

import json

import pytest

from logo_jax.configs import config as config_lib
from logo_jax.runs import fits
from logo_jax.sweep import budgets, grid

DATA = "mamujoco/hopper-3x1/medium"


def _plan(root, *entries, budget=budgets.BUDGETS["quick"], at_hand=None):
  systems = budgets.systems("systems", list(entries), budget)
  configs = {k: budgets.spent(v, budget, DATA, 7) for k, v in systems.items()}
  return grid.experiments(configs.items(), root, at_hand)


def test_datasets_are_known_by_their_full_names(tmp_path):
  # The usual size has the plain name, as fits that are at hand say it, too.
  given = ["smax/2s3z/medium@100000", f"{DATA}@2000", str(tmp_path)]
  found = grid.datasets(given, tmp_path)
  assert found == ["smax/2s3z/medium", f"{DATA}@2000", str(tmp_path)]
  for twice in ([DATA, DATA], [DATA, f"{DATA}@100000"]):
    with pytest.raises(ValueError, match=f"datasets: '{twice[1]}' is there twice"):
      grid.datasets(twice, tmp_path)
  with pytest.raises(ValueError, match="datasets: must name at least one"):
    grid.datasets([], tmp_path)


def test_a_world_model_is_fitted_once(tmp_path):
  data, fit, other, *systems = _plan(
    tmp_path, "bc", "logo_macql", "logo_penalty", "direct"
  )
  assert (data.kind, fit.kind, other.kind) == ("data", "fit", "fit")
  assert [cell.name for cell in systems] == [
    "bc",
    "logo_macql",
    "logo_penalty",
    "direct",
  ]
  fits = [set(cell.needs) - {data.name} for cell in systems]
  assert fits == [set(), {fit.name}, {fit.name}, {other.name}]
  taken = str((tmp_path / fit.name).absolute())
  assert systems[1].config["model_run"] == systems[2].config["model_run"] == taken
  config = config_lib.from_dict(systems[1].config)
  assert (config.seed, config.num_seeds, config.total_updates) == (7, 1, 500)
  assert config.fit.updates == 500
  assert config.evaluation.final_episodes == 4  # on the host
  assert not list(tmp_path.iterdir())  # nothing is left behind


def test_a_fit_at_hand_is_taken_over(tmp_path):
  plan = _plan(tmp_path, "logo_macql")
  config = plan[-1].config
  elsewhere = tmp_path / "elsewhere"
  (elsewhere / "checkpoints" / "model" / "500").mkdir(parents=True)
  (elsewhere / "config.json").write_text(json.dumps(config))
  key = fits.key(config_lib.from_dict(config))
  at_hand = {DATA: {key: str(elsewhere)}}
  _, taken = _plan(tmp_path / "new", "logo_macql", at_hand=at_hand)
  assert taken.kind == "experiment" and taken.config["model_run"] == str(elsewhere)


def test_what_has_begun_goes_on_as_it_began(tmp_path):
  data, fit, system = _plan(tmp_path, "logo_penalty")
  (tmp_path / fit.name).mkdir(parents=True)
  stored = fit.config | {"dataset_hash": "x"}
  (tmp_path / fit.name / "config.json").write_text(json.dumps(stored))
  # Whoever needs it first now: it is the same fit.
  assert _plan(tmp_path, "logo_macql", "logo_penalty")[1] == fit
  # A run that has fitted a model of its own needs no other.
  (tmp_path / "logo_penalty").mkdir()
  own = system.config | {"model_run": "", "dataset_hash": "x"}
  (tmp_path / "logo_penalty" / "config.json").write_text(json.dumps(own))
  again = _plan(tmp_path, "logo_penalty")[-1]
  assert again.config["model_run"] == "" and again.needs == (data.name,)
  # One of another budget is refused before anything is done.
  with pytest.raises(ValueError, match="total_updates: 1000 differs from 500"):
    _plan(
      tmp_path, "logo_penalty", budget=budgets.of_values("quick", {"updates": 1000})
    )


def test_learners_on_rollouts_have_a_budget_of_their_own(tmp_path):
  *_, plain, longer = _plan(tmp_path, "logo_flat", "long@logo_flat:total_updates=100")
  assert plain.config["total_updates"] == 20 and longer.config["total_updates"] == 100


@pytest.mark.parametrize(
  ("name", "values", "message"),
  [
    ("huge", {}, "budget: must be one of quick, standard, paper; got 'huge'"),
    ("quick", {"updates": 0}, "updates: must be at least 1, got 0"),
    ("quick", {"steps": 1}, "steps: unknown key; allowed are curve_episodes"),
  ],
)
def test_bad_budgets_are_refused(name, values, message):
  with pytest.raises(ValueError, match=message):
    budgets.of_values(name, values)
