"""Training from disk is training from the device, bit for bit."""

import dataclasses

import jax
import numpy as np
import pytest

from logo_jax.configs import config as config_lib
from logo_jax.configs.config import CheckpointConfig, EvaluationConfig
from logo_jax.configs.registry import component
from logo_jax.data import dataset, store
from logo_jax.evaluation import model_error
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.training import fit_loop, loop, parallel
from logo_jax.training.compose import compose
from logo_jax.training.session import Evaluator, Seconds, Session
from tests import toys
from tests.training import systems


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
  """The corridor's rows, memory-mapped."""
  played = toys.random_play(toys.corridor(), 100)
  folder = tmp_path_factory.mktemp("data") / "corridor"
  store.write(folder, played.rows, played.episode_start, played.card)
  return store.read(folder)


IN_THE_MODEL = component(
  "learner", "mappo", hidden_size=16, clone_updates=20, value_updates=4
)
RECURRENT = component("learner", "bc", hidden_size=16, recurrent=True, window=4)


class _StopAfter:
  """Asks the loop to stop when it has done so many chunks."""

  def __init__(self, chunks):
    self.left = chunks

  def __bool__(self):
    self.left -= 1
    return self.left < 0


def _session(config, stored, folder, chunks) -> tuple[Session, dataset.LoadedDataset]:
  loaded = dataset.load(stored, config.data.placement)
  mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  axis = parallel.batch_axis(mesh)
  system = compose(config, loaded.spec, loaded.statistics, axis)
  data = parallel.place(loaded.data, mesh)
  stop = _StopAfter(chunks)
  session = Session(config, system, mesh, data, folder, stop, Seconds({}))  # type: ignore
  return session, loaded


def _run(config, stored, path, chunks=1_000):
  """All that a run leaves behind, None if it was stopped."""
  with RunFolder.open(path, config_lib.to_dict(config)) as folder:
    session, loaded = _session(config, stored, folder, chunks)
    actor = session.system.learner.actor
    evaluator = Evaluator(toys.corridor(), actor, session.mesh, config)
    model_params, errors = (), {}
    if session.system.imagination is not None:
      model_params = fit_loop.fit_model(session)
      if model_params is None:
        return None
    state = loop.train(session, evaluator, model_params)
    if state is None:
      return None
    if session.system.imagination is not None:
      params = jax.device_get(state.model)
      errors = model_error.model_errors(
        session.system.imagination.model, params, loaded
      )
  rows = [
    {k: v for k, v in row.items() if not k.startswith(("time", "seconds"))}
    for row in run_outputs.read_metrics(path)
  ]
  state = state._replace(key=jax.random.key_data(state.key))
  return jax.device_get(state), errors, rows


def _small(preset, patience=6, **changes):
  return systems.small(
    preset,
    total_updates=30,
    fit=dataclasses.replace(systems.FIT, updates=60, patience=patience),
    evaluation=EvaluationConfig(interval=30, episodes=2, final_episodes=2),
    checkpoint=CheckpointConfig(interval=10),
    **changes,
  )


@pytest.mark.parametrize(
  ("config", "chunks"),
  [
    (_small("bc"), 1),
    pytest.param(_small("macql"), 1, marks=pytest.mark.slow),
    # Seeds and devices draw rows of their own; a seed that has stopped fitting waits.
    # Stopped before the first update.
    pytest.param(
      _small("logo_macql", patience=1, num_seeds=2, data_parallel=2),
      4,
      marks=pytest.mark.slow,
    ),
    # Stopped in a phase before the last one, where policies learn on rollouts.
    pytest.param(
      _small("direct", learner=IN_THE_MODEL, num_starts=16, horizon=4),
      4,
      marks=pytest.mark.slow,
    ),
    pytest.param(
      _small("logo_flat", learner=IN_THE_MODEL, num_seeds=2, data_parallel=2),
      7,
      marks=pytest.mark.slow,
    ),
    # A model with a memory, which starts from what led there.
    pytest.param(
      _small("mamba", num_seeds=2, data_parallel=2), 4, marks=pytest.mark.slow
    ),
    # Windows, and policies with a memory.
    pytest.param(
      _small("bc", data_parallel=2, learner=RECURRENT), 1, marks=pytest.mark.slow
    ),
  ],
  ids=lambda x: getattr(x, "preset", None),
)
def test_from_disk_is_from_the_device(stored, tmp_path, monkeypatch, config, chunks):
  monkeypatch.setattr(model_error, "HORIZONS", (5,))
  on_host = dataclasses.replace(config, data=config_lib.DataConfig("host"))
  whole = _run(config, stored, tmp_path / "device")
  assert whole is not None
  assert _run(on_host, stored, tmp_path / "host", chunks) is None
  streamed = _run(on_host, stored, tmp_path / "host")
  assert streamed is not None
  for a, b in zip(whole, streamed, strict=True):
    jax.tree.map(np.testing.assert_array_equal, a, b)
