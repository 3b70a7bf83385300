"""A film of a whole run, learned in a model."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from logo_jax.data import source, store
from logo_jax.deploy.policy import load_policy
from logo_jax.envs import base
from logo_jax.runs import experiment, playback
from logo_jax.types import Transition
from logo_jax.watching.episode import imagine, play
from logo_jax.watching.watch import Options, watch
from tests import skirmish, toys
from tests.deploy import runs

_STEPS = 3  # of a rollout
_MODEL = {
  "model__hidden_size": 8,
  "fit__updates": 4,
  "fit__interval": 2,
  "fit__batch_size": 8,
  "evaluation__interval": 4,
  "checkpoint__interval": 4,
}


@pytest.fixture
def run_dir(monkeypatch, tmp_path):
  """Two seeds that learn in a model of the skirmish."""
  for table in ("_SUITES", "_PACKAGES"):
    monkeypatch.setattr(base, table, dict(getattr(base, table)))
  base.make.cache_clear()
  base.register_game("toy/skirmish", skirmish.skirmish, wins=True)
  data = toys.random_play(skirmish.skirmish(), 20)
  spec = data.card["spec"]
  card = {"name": "toy", "spec": spec, "scenario": spec["name"]}
  path = store.write(tmp_path / "data", data.rows, data.episode_start, card)
  experiment.run(runs.config(path, "logo_macql", **_MODEL), tmp_path / "run")
  yield tmp_path / "run"
  base.make.cache_clear()


def _check_imagined(run_dir, episode):
  """Against the model, one step at a time."""
  imagined = imagine(run_dir, episode, _STEPS, 4, 1)
  found = playback.imagination_of(run_dir, 4, 1)
  assert imagined is not None and found is not None
  imagination, (params, scale) = found
  rows, uncertainty = episode.rows, imagination.uncertainty
  latent, so_far, here = None, jnp.zeros(1), None
  for t in range(episode.length):
    if t % _STEPS == 0:
      here = [jnp.asarray(x[t : t + 1]) for x in (rows.obs, rows.state, rows.legal)]
      nothing = jnp.zeros(1)
      action = jnp.asarray(rows.action[t : t + 1])
      start = Transition(*here, action, nothing, nothing, *here)
      latent, so_far = (
        imagination.model.start(params, start, jax.random.key(1)),
        nothing,
      )
    action = jnp.asarray(rows.action[t : t + 1])
    latent, p = imagination.model.step(params, latent, action, jax.random.key(2))
    assert here is not None
    step = Transition(*here, action, p.reward, p.discount, p.obs, p.state, p.legal)
    so_far = uncertainty.accumulate(so_far, uncertainty.score(scale, step, p))
    u = uncertainty.calibrate(scale, so_far)
    np.testing.assert_allclose(imagined.state[t], p.state[0], atol=1e-5)
    np.testing.assert_allclose(imagined.uncertainty[t], u[0], rtol=1e-4)
    assert imagined.began[t] == t - t % _STEPS
    here = [p.obs, p.state, p.legal]


@pytest.mark.slow
def test_the_second_seed_and_its_model_are_shown(run_dir, tmp_path):
  _, known = playback.of_run(run_dir)
  env, why = source.environment(known.card, known.spec)
  assert env is not None, why
  episode = play(env, load_policy(run_dir, 1), seed=3, greedy=False)
  assert 1 < episode.length <= skirmish.MAX_STEPS and episode.over
  _check_imagined(run_dir, episode)
  out = tmp_path / "a.gif"
  options = Options(seed=3, greedy=False, imagine_steps=_STEPS, seed_index=1)
  shown = watch(run_dir, out, options)
  assert shown.imagined and shown.frames == episode.length + 1
  with Image.open(out) as image:
    assert image.n_frames == shown.frames
  with pytest.raises(ValueError, match="seed_index: must be from 0 to 1"):
    watch(run_dir, out, Options(seed_index=2))
