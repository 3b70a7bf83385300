"""Fits of two phases: single transitions, then windows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import config as config_lib
from logo_jax.configs.config import DataConfig, FitConfig
from logo_jax.data import dataset, store
from logo_jax.imagination.acted import Imagination
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.training import fit_loop, parallel
from logo_jax.training.compose import System
from logo_jax.training.fit_model import phases
from logo_jax.training.session import Seconds, Session
from logo_jax.types import WorldModel
from tests import toys
from tests.training import systems

# Stops early in both phases.
FIT = FitConfig(
  updates=400,
  batch_size=8,
  learning_rate=0.03,
  interval=10,
  patience=2,
  unroll=3,
  unroll_updates=200,
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
  played = toys.random_play(toys.corridor(), 40)
  folder = tmp_path_factory.mktemp("data") / "corridor"
  store.write(folder, played.rows, played.episode_start, played.card)
  return store.read(folder)


def _model(loss, validate, init=lambda key: jnp.float32(0.0)) -> WorldModel:
  return WorldModel(1, 1, init, loss, validate, None, None, None)  # type: ignore


def _mean_reward() -> WorldModel:
  """One number, to be the mean reward; which batches it saw can be told from it."""

  def error(p, t, weight, key):
    return jnp.mean(weight * (p - t.reward) ** 2)

  def loss(p, t, weight, key):
    return error(p, t, weight, key), {"model/length": jnp.float32(t.reward.ndim)}

  return _model(loss, error, lambda key: 0.3 + 0.1 * jax.random.normal(key))


def _members() -> WorldModel:
  """Two of them, each with an optimizer and a best of its own."""

  def error(p, t, weight, key):
    axes = tuple(range(1, 1 + t.reward.ndim))
    p = p.reshape(2, *[1] * t.reward.ndim)
    return jnp.mean(weight * (p - t.reward) ** 2, axes)

  def loss(p, t, weight, key):
    return error(p, t, weight, key).sum(), {"model/length": jnp.float32(t.reward.ndim)}

  model = _model(loss, error, lambda key: 0.3 + 0.1 * jax.random.normal(key, 2))
  return model._replace(error_shape=(2,))


def _fit(model, stored, path, fit, asked=10_000, **changes):
  """The best parameters and the rows logged; None if it was stopped.

  Args:
    asked: how often it is told to go on before it is told to stop.
  """
  left = iter([False] * asked)

  class Stop:
    def __bool__(self):
      return next(left, True)

  config = systems.small("logo_macql", fit=fit, **changes)
  loaded = dataset.load(stored, config.data.placement)
  mesh = parallel.make_mesh(config.num_seeds, 1)
  system = System(None, Imagination(model, None, None))  # type: ignore
  data = parallel.place(loaded.data, mesh)
  with RunFolder.open(path, config_lib.to_dict(config)) as folder:
    session = Session(config, system, mesh, data, folder, Stop(), Seconds({}))  # type: ignore
    params = fit_loop.fit_model(session)
  rows = [
    {k: v for k, v in row.items() if not k.startswith(("time", "seconds"))}
    for row in run_outputs.read_metrics(path)
  ]
  return None if params is None else jax.device_get(params), rows


@pytest.mark.parametrize(
  ("updates", "unrolled", "wanted"),
  [(100, 40, ((1, 60), (3, 100))), (100, 0, ((1, 100),)), (100, 100, ((3, 100),))],
)
def test_phases_end_where_they_must(updates, unrolled, wanted):
  assert phases(FitConfig(updates, unroll=3, unroll_updates=unrolled)) == wanted


def test_each_phase_has_its_own_patience(stored, tmp_path):
  """One parameter that Adam moves by 0.1 a step, up at first, in windows down by half.

  The best of 1, 2, 3 and 4 is 2 and two evaluations later the first phase is over. The
  second one begins with the momentum of the first, so that it is at 4.1 and 3.8 when
  its two are over; its rate is that of the middle of all steps.
  """
  model = _model(
    lambda p, t, weight, key: (-p if weight.ndim == 1 else p, {"model/x": p}),
    lambda p, t, weight, key: (p - 1.6) ** 2,
  )
  fit = dataclasses.replace(
    FIT, updates=1_000_000, learning_rate=0.1, unroll_updates=500_000
  )
  best, rows = _fit(model, stored, tmp_path / "run", fit)
  np.testing.assert_allclose(best, [2.0], rtol=1e-3)
  assert [row["step"] for row in rows] == [10, 20, 30, 40, 500_010, 500_020]
  errors = [row["model/selection_error"] for row in rows]
  np.testing.assert_allclose(errors[:4], [0.36, 0.16, 1.96, 5.76], rtol=5e-3)
  np.testing.assert_allclose(errors[4:], [2.49**2, 2.19**2], rtol=0.02)


def _steps(rows):
  lengths = {int(row["model/length"]) for row in rows if row["step"] <= 200}
  assert lengths == {1}
  assert {int(row["model/length"]) for row in rows if row["step"] > 200} == {2}
  return [row["step"] for row in rows]


@pytest.mark.parametrize("model", [_mean_reward(), _members()], ids=["one", "members"])
def test_an_interrupted_fit_equals_the_whole_one(stored, tmp_path, model):
  """Stopped in the second phase, and at the end of the first, which stopped early."""
  whole = _fit(model, stored, tmp_path / "whole", FIT)
  steps = _steps(whole[1])
  first = sum(step <= 200 for step in steps)
  assert first < 20 and len(steps) >= first + 2  # early, and two more evaluations
  # It is asked once more between the phases.
  for asked, done in ((first, first), (first + 2, first + 1)):
    path = tmp_path / str(done)
    stopped, rows = _fit(model, stored, path, FIT, asked)
    assert stopped is None and len(rows) == done
    resumed = _fit(model, stored, path, FIT)
    jax.tree.map(np.testing.assert_array_equal, resumed[0], whole[0])
    assert resumed[1] == whole[1]


def test_from_disk_is_from_the_device(stored, tmp_path):
  """Where the first phase stops early, the second one draws the same all the same."""
  device = _fit(_mean_reward(), stored, tmp_path / "device", FIT)
  host = _fit(_mean_reward(), stored, tmp_path / "host", FIT, data=DataConfig("host"))
  np.testing.assert_array_equal(host[0], device[0])
  assert host[1] == device[1]


def test_a_seed_is_fitted_alike_in_any_company(stored, tmp_path):
  """Though its company takes longer over the first phase."""
  both, _ = _fit(_mean_reward(), stored, tmp_path / "both", FIT, num_seeds=3)
  ends = set()
  for seed in range(3):
    path = tmp_path / str(seed)
    alone, rows = _fit(_mean_reward(), stored, path, FIT, seed=seed)
    np.testing.assert_array_equal(alone[0], both[seed])
    ends.add(max(step for step in _steps(rows) if step <= 200))
  assert len(ends) > 1
