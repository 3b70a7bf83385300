"""Films: frames, what is imagined, where units are drawn, and errors."""

import dataclasses
import importlib.util
import shutil

import jax.numpy as jnp
from matplotlib.figure import Figure
import numpy as np
from PIL import Image
import pytest

from logo_jax.configs import presets
from logo_jax.data import source
from logo_jax.data.carried import Carried
from logo_jax.deploy.policy import Policy
from logo_jax.envs import smax_layout
from logo_jax.imagination.acted import Imagination
from logo_jax.runs import playback
from logo_jax.types import Actor, Prediction, Uncertainty, WorldModel
from logo_jax.uncertainty.parts import ACCUMULATE
from logo_jax.watching import battle, film, scenes
from logo_jax.watching import watch as watch_lib
from logo_jax.watching.episode import imagine, play
from logo_jax.watching.watch import Options, watch
from logo_jax.weighting import uniform
from tests import skirmish, toys

_STEPS = 2  # of a rollout


def _policy(spec):
  """The first agent hits the first enemy while it may, then the other one."""

  def act(params, carry, seen, key, greedy=False):
    del params, key, greedy
    first = jnp.where(seen.legal[..., 2], 2, jnp.where(seen.legal[..., 3], 3, 0))
    return carry, (first * jnp.array([1, 0])).astype(jnp.int32)

  return Policy(Actor(lambda batch: (), act), (), spec, 7)


def _imagination():
  """Adds the sum of actions to all of a state, and ends above 6; u is that sum / 2."""

  def start(params, t, key):
    del params, key
    return t.state

  def step(params, latent, action, key):
    del params, key
    total = action.sum(-1).astype(jnp.float32)
    state = latent + total[:, None]
    obs, legal = jnp.zeros((*action.shape, 14)), jnp.ones((*action.shape, 4), bool)
    mean = jnp.broadcast_to(total[:, None, None, None], (len(action), 1, 1, 1))
    ends = (latent.max(-1) < 4.0).astype(jnp.float32)
    p = Prediction(obs, state, total, ends, legal, mean, jnp.zeros_like(mean))
    return state, p

  def none(*args):
    raise AssertionError("not asked for")

  model = WorldModel(1, 1, none, none, none, start, step, none)
  score = Uncertainty(
    1, none, lambda s, t, p: p.mean[..., 0, 0, 0], ACCUMULATE["cumsum"], _halved
  )
  return Imagination(model, score, uniform.make(uniform.Config(), None)), ((), 2.0)


def _halved(scale, raw):
  return raw / scale


@pytest.fixture
def run_dir(monkeypatch):
  """Something that is read like a run, of which nothing was trained."""
  env = skirmish.skirmish()
  known = Carried(env.spec, {}, None, None)  # pyright: ignore  nothing is built of them
  config = dataclasses.replace(presets.get("logo_macql"), dataset="toy/data")
  monkeypatch.setattr(playback, "of_run", lambda run_dir: (config, known))
  monkeypatch.setattr(source, "environment", lambda card, spec: (env, ""))
  monkeypatch.setattr(watch_lib, "load_policy", lambda *args: _policy(env.spec))
  monkeypatch.setattr(playback, "imagination_of", lambda *args: _imagination())
  return "runs/toy"


@pytest.fixture(scope="module")
def episode():
  env = skirmish.skirmish()
  return play(env, _policy(env.spec), seed=2)


def test_an_episode_is_played_by_the_rules(episode):
  # Two hits for each enemy; enemies take 1/4 each from somebody.
  rows = episode.rows
  assert episode.length == 4 and episode.over and episode.won
  assert rows.action[:, 0].tolist() == [2, 2, 3, 3, 0]
  assert rows.state[:, 2:4].tolist() == [[1, 1], [0.5, 1], [0, 1], [0, 0.5], [0, 0]]
  assert episode.returns.tolist() == [0.0, 0.5, 1.0, 1.5, 3.0]
  assert rows.discount.tolist() == [1, 1, 1, 0, 1]
  assert rows.time.tolist() == [0, 1, 2, 3, 4]


def test_an_episode_is_cut(episode):
  env = skirmish.skirmish()
  cut = play(env, _policy(env.spec), seed=2, max_steps=2)
  assert cut.length == 2 and not cut.over and not cut.won
  np.testing.assert_array_equal(cut.rows.state, episode.rows.state[:3])


def test_the_model_is_rolled_from_each_start_by_the_actions_taken(run_dir, episode):
  imagined = imagine(run_dir, episode, 3, 7)
  assert imagined is not None
  state = episode.rows.state
  # Actions 2, 2, 3 from the first row, then 3 from the fourth.
  expected = [state[0] + 2, state[0] + 4, state[0] + 7, state[3] + 3]
  np.testing.assert_allclose(imagined.state, expected, atol=1e-6)
  assert imagined.uncertainty.tolist() == [1.0, 2.0, 3.5, 1.5]
  assert imagined.began.tolist() == [0, 0, 0, 3]
  assert imagined.goes_on.tolist() == [True, True, False, True]


def test_models_of_observations_alone_imagine_nothing(monkeypatch, run_dir, episode):
  (model, *rest), params = _imagination()
  blind = Imagination(model._replace(predicts_state=False), *rest)
  monkeypatch.setattr(playback, "imagination_of", lambda *args: (blind, params))
  assert imagine(run_dir, episode, _STEPS, 7) is None


def _frames(path):
  with Image.open(path) as image:
    return image.n_frames, image.size, image.info["duration"]


def test_a_film_has_a_frame_for_each_state(run_dir, tmp_path):
  out = tmp_path / "new" / "episode.gif"
  shown = watch(run_dir, out, Options(seed=2, fps=5, imagine_steps=_STEPS))
  assert shown == (5, 4, 3.0, True, True, True)
  assert _frames(out) == (5, (880, 595), 200)
  assert [file.name for file in out.parent.iterdir()] == ["episode.gif"]


def test_without_a_model_the_game_is_shown_alone(monkeypatch, run_dir, tmp_path):
  monkeypatch.setattr(playback, "imagination_of", lambda *args: None)
  shown = watch(run_dir, tmp_path / "a.gif", Options(max_steps=1))
  assert not shown.imagined and not shown.over
  assert _frames(tmp_path / "a.gif")[:2] == (2, (460, 527))


def test_games_without_positions_are_refused(monkeypatch, run_dir, tmp_path):
  known = Carried(toys.corridor().spec, {}, None, None)  # pyright: ignore
  monkeypatch.setattr(playback, "of_run", lambda run_dir: (None, known))
  with pytest.raises(ValueError, match="states of toy/corridor cannot be drawn"):
    watch(run_dir, tmp_path / "a.gif")
  assert not (tmp_path / "a.gif").exists()


@pytest.mark.parametrize(
  ("out", "options", "said"),
  [
    ("a.png", {}, "out: must end in .gif or .mp4; got"),
    ("a.gif", {"fps": 0}, "fps: must be at least 1, got 0"),
    ("a.gif", {"max_steps": 0}, "max_steps: must be at least 1"),
    ("a.gif", {"imagine_steps": 0}, "imagine_steps: must be at least 1"),
  ],
)
def test_bad_options_are_told_before_anything_is_written(
  run_dir, tmp_path, out, options, said
):
  with pytest.raises(ValueError, match=said):
    watch(run_dir, tmp_path / out, Options(**options))
  assert not list(tmp_path.iterdir())


def test_films_need_ffmpeg(monkeypatch):
  monkeypatch.setattr(shutil, "which", lambda name: None)
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ValueError, match=r"a.mp4' needs ffmpeg, .*; a .gif does not"):
    film.check("a.mp4")


def test_an_mp4_holds_every_frame(tmp_path):
  imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
  figure = Figure(figsize=(1.0, 0.8), dpi=50)
  film.write(tmp_path / "a.mp4", figure, lambda k: figure.text(0.1 * k, 0.5, "x"), 5, 5)
  frames, _ = imageio_ffmpeg.count_frames_and_secs(tmp_path / "a.mp4")
  assert frames == 5
  assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_film_that_breaks_off_leaves_nothing(tmp_path):
  def draw(frame):
    raise RuntimeError(f"frame {frame}")

  figure = Figure()
  (tmp_path / "a.gif").write_text("old")
  with pytest.raises(RuntimeError, match="frame 0"):
    film.write(tmp_path / "a.gif", figure, draw, 2, 5)
  assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def _battle():
  """A state of three against five: health, x, y, cooldown, six types of each unit."""
  layout = smax_layout.layout("3s_vs_5z")
  assert layout is not None
  state = np.zeros(96)
  state[:10] = (0.5, 3.0, 4.0, 0.0, 0, 0, 1, 0, 0, 0)
  state[10:20] = (0.0, 9.0, 9.0, 0.0, 0, 0, 1, 0, 0, 0)  # dead
  state[30:40] = (1.0, 7.0, 6.0, 0.0, 0, 0, 0, 1, 0, 0)  # the first enemy
  state[83:88] = 1  # the enemies' team
  return layout, state


def test_units_are_read_from_the_layout():
  layout, state = _battle()
  units = battle.units(layout, state)
  assert units.there.tolist() == [True, False, False, True, *[False] * 4]
  assert units.ally.tolist() == [True] * 3 + [False] * 5
  assert units.health[[0, 3]].tolist() == [0.5, 1.0]
  assert units.kind[[0, 3]].tolist() == [2, 3]
  assert units.position[[0, 3]].tolist() == [[3.0, 4.0], [7.0, 6.0]]
  middle, half = battle.view(layout, state[None])
  assert middle.tolist() == [5.0, 5.0] and 2.0 < half < 3.0


def test_a_unit_stands_where_its_position_says():
  layout, state = _battle()
  axes = Figure().add_subplot()
  battle.draw(axes, layout, state, (np.array([5.0, 5.0]), 10.0), [(0, 3), (1, 3)])
  found = [
    (*np.asarray(x.get_offsets()).ravel(), tuple(x.get_facecolor()[0][:3]))
    for x in axes.collections
  ]
  colours = [
    tuple(int(c[k : k + 2], 16) / 255 for k in (1, 3, 5))
    for c in (battle.ALLIES, battle.ENEMIES)
  ]
  np.testing.assert_allclose([x[:2] for x in found], [[3, 4], [7, 6]])
  np.testing.assert_allclose([x[2] for x in found], colours)
  # The living agent's line to its target, then two bars for each: of all, and health.
  lines = [np.asarray(line.get_data()) for line in axes.lines]
  assert len(lines) == 5
  np.testing.assert_allclose(lines[0], [[3, 7], [4, 6]])
  widths = [np.ptp(line[0]) for line in lines[1:]]
  np.testing.assert_allclose(np.divide(widths[1::2], widths[::2]), [0.5, 1.0])


def test_what_is_imagined_stands_before_what_is_real():
  layout, state = _battle()
  imagined = state.copy()
  imagined[1:3] = (3.0, 5.0)
  axes = Figure().add_subplot()
  battle.draw(axes, layout, imagined, (np.array([5.0, 5.0]), 10.0), None, state)
  places = [np.asarray(x.get_offsets()).ravel().tolist() for x in axes.collections]
  assert places == [[3.0, 4.0], [7.0, 6.0], [3.0, 5.0], [7.0, 6.0]]
  np.testing.assert_allclose(np.asarray(axes.lines[0].get_data()), [[3, 3], [4, 5]])


def test_who_attacks_whom():
  layout, _ = _battle()
  # Five actions that are no attacks, then one for each of five enemies.
  assert battle.targets(layout, np.array([4, 5, 9])) == [(1, 3), (2, 7)]


def test_units_on_a_line_stand_in_lanes():
  state = np.array([1, 1, 0.5, 0, 0.25, 0.75, 1, 0, 1, 1, -1, 0], float)
  units = battle.units(skirmish.LAYOUT, state)
  assert units.position.tolist() == [[0.25, 0], [0.75, -1], [1, -2], [0, -3]]
  assert units.there.tolist() == [True, True, True, False]
  scenes.check(skirmish.SPEC)
