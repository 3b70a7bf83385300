"""Rollouts of a world model under the actions of recorded episodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.data import stream
from logo_jax.data.dataset import LoadedDataset, evenly_spaced, transitions
from logo_jax.imagination.rollout import rollout
from logo_jax.ops.standardise import Moments, standardise
from logo_jax.replay.windows import up_to
from logo_jax.types import (
  Metrics,
  Params,
  Prediction,
  Rows,
  Transition,
  Uncertainty,
  WorldModel,
)

_MAX_WINDOWS = 4_096  # of a split, evenly spaced
_CHUNK = 256  # windows at once: models of many entities need much memory for each

# What an observer sees of a step: (imagined, prediction, recorded) -> tree of [W, ...].
Look = Callable[[Transition, Prediction, Transition], Any]


class Scorer(NamedTuple):
  """An uncertainty, ready to score what a model imagines."""

  uncertainty: Uncertainty
  params: Params  # with a leading axis of seeds


class Windows(NamedTuple):
  """Rows from which recorded actions are followed, in order."""

  start: Any  # int32 [W], of numpy or JAX
  left: Any  # int32 [W], steps from there to the end of the episode
  before: Any  # int32 [W], steps of the episode before


class Rollouts(NamedTuple):
  """What open-loop rollouts came to; axes seeds S, steps H and windows W.

  What lies past the end of an episode (`left`) means nothing. Errors are mean squares
  over the features that vary, in units of their variance.
  """

  left: np.ndarray  # [W]
  state_error: np.ndarray  # [S, H, W]; NaN where the model predicts no states
  obs_error: np.ndarray  # [S, H, W]
  state_moved: np.ndarray  # [H, W], the error of persistence
  obs_moved: np.ndarray  # [H, W]
  scores: dict[str, np.ndarray]  # [S, H, W], raw, of each step alone


def take_windows(
  loaded: LoadedDataset, split: str = "test", most: int = _MAX_WINDOWS
) -> Windows:
  """Windows of a split, evenly spaced; each goes on to the end of its episode.

  Args:
    loaded: the dataset.
    split: "test", "select" or "train".
    most: as many at most.
  """
  start = np.asarray(getattr(loaded.data, split))
  # Rows of one episode follow each other; final rows, which start nothing, part them.
  last = np.flatnonzero(np.diff(start, append=start[-1] + 2) > 1)
  places = np.arange(len(start))
  episode = np.searchsorted(last, places)
  left = last[episode] - places + 1
  before = places - np.append(0, last + 1)[episode]
  keep = evenly_spaced(places, most)
  return Windows(start[keep], *(x[keep].astype(np.int32) for x in (left, before)))


def imagine(
  model: WorldModel,
  params: Params,
  rows: Rows,
  windows: Windows,
  steps: int,
  look: Look,
) -> Any:
  """Follows the recorded actions in the model, in one scan.

  Args:
    model: the world model.
    params: of one seed.
    rows: recorded time steps.
    windows: W of them; past an episode's end its last action is repeated.
    steps: H.
    look: what to keep of a step: the imagined transition (as an uncertainty sees it),
      the prediction, and the recorded transition.

  Returns:
    What `look` has returned, with a leading axis H.
  """
  starts = windows.start
  if model.window > 1:
    starts = up_to(starts, windows.before, model.window)
  starts = transitions(rows, starts)

  def true(offset: jax.Array) -> Transition:
    return transitions(rows, windows.start + jnp.minimum(offset, windows.left - 1))

  def choose(memory, now, offset, key):
    del now, key
    return memory, true(offset).action

  def look_at_both(memory, t: Transition, p: Prediction, offset: jax.Array):
    return memory, look(t, p, true(offset))

  key = jax.random.key(0)
  return rollout(model, params, starts, choose, look_at_both, steps, key)[2]


def in_chunks(
  fn: Callable[[Any, Rows, Windows], Any],
  params: Params,
  loaded: LoadedDataset,
  windows: Windows,
  steps: int = 1,
  memory: int = 1,
) -> Any:
  """Maps a function of one seed over seeds and, a chunk at a time, over windows.

  Args:
    fn: (parameters, rows, windows [W]) -> tree of [H, W, ...].
    params: with a leading axis of seeds.
    loaded: the dataset.
    windows: where to look.
    steps: rows that follow a window's first which the function reads.
    memory: rows up to the first that it reads, as far as the episode has them.

  Returns:
    The tree on the host, its leaves [S, H, W, ...].
  """
  # Rows go in as an argument: a captured array would be compiled in as a constant.
  mapped = jax.jit(jax.vmap(fn, (0, None, None)))
  num = len(windows.start)
  size = min(num, _CHUNK)
  parts = []
  for begin in range(0, num, size):
    index = np.minimum(np.arange(begin, begin + size), num - 1)  # the last is repeated
    start, left, before = (x[index] for x in windows)
    back = np.minimum(before, memory - 1)
    rows, first = stream.gather_if_on_host(
      loaded.data.rows, start - back, steps + memory - 1
    )
    chunk = mapped(params, rows, Windows(first + back, left, before))
    keep = min(size, num - begin)
    parts.append(jax.tree.map(lambda x, n=keep: np.asarray(x)[:, :, :n], chunk))
  return jax.tree.map(lambda *x: np.concatenate(x, 2), *parts)


def roll_out(
  model: WorldModel,
  params: Params,
  loaded: LoadedDataset,
  windows: Windows,
  horizons: Sequence[int],
  scorers: Mapping[str, Scorer] | None = None,
) -> Rollouts:
  """Rolls out from all windows, as far as the largest horizon that one of them has.

  Args:
    model: the world model.
    params: with a leading axis of seeds.
    loaded: the dataset.
    windows: from `take_windows`.
    horizons: steps of interest.
    scorers: uncertainties by name, to be scored along the way.
  """
  scorers = dict(scorers or {})
  steps = max([h for h in horizons if h <= windows.left.max()], default=1)
  statistics, mask = loaded.statistics, loaded.spec.obs_mask

  def one_seed(both: tuple[Params, Params], rows: Rows, windows: Windows) -> Metrics:
    first = transitions(rows, windows.start)

    def look(t: Transition, p: Prediction, true: Transition) -> dict[str, Any]:
      return {
        "state_error": squared_error(p.state, true.next_state, statistics.state),
        "obs_error": squared_error(p.obs, true.next_obs, statistics.obs, mask),
        "state_moved": squared_error(first.state, true.next_state, statistics.state),
        "obs_moved": squared_error(first.obs, true.next_obs, statistics.obs, mask),
        "scores": score(scorers, both[1], t, p),
      }

    return imagine(model, both[0], rows, windows, steps, look)

  both = (params, {name: s.params for name, s in scorers.items()})
  found = in_chunks(one_seed, both, loaded, windows, steps, model.window)
  for name in ("state_moved", "obs_moved"):
    found[name] = found[name][0]  # the same for all seeds
  if not model.predicts_state:
    found["state_error"] = np.full_like(found["state_error"], np.nan)
  return Rollouts(left=windows.left, **found)


def score(
  scorers: Mapping[str, Scorer], params: Params, t: Transition, p: Prediction
) -> dict[str, jax.Array]:
  """Raw scores of imagined transitions; `params` are one seed's, by name."""
  return {
    name: scorer.uncertainty.score(params[name], t, p)
    for name, scorer in scorers.items()
  }


def predicted_states(
  model: WorldModel,
  params: Params,
  loaded: LoadedDataset,
  windows: Windows,
  horizons: Sequence[int],
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
  """The first seed's states at some horizons, in standard deviations, for figures.

  Returns:
    Horizon to recorded and predicted states [W, F], over the features that vary and the
    windows that last so long; horizons that none lasts are left out.
  """
  moments = loaded.statistics.state
  horizons = [h for h in horizons if h <= windows.left.max()]

  def one_seed(params: Params, rows: Rows, windows: Windows) -> Any:
    look: Look = lambda t, p, true: (true.next_state, p.state)  # noqa: E731
    seen = imagine(model, params, rows, windows, max(horizons), look)
    return jax.tree.map(lambda x: standardise(x, moments), seen)

  alone = jax.tree.map(lambda x: x[:1], params)
  seen = in_chunks(one_seed, alone, loaded, windows, max(horizons), model.window)
  varies = np.asarray(moments.varies)
  found = {}
  for h in horizons:
    true, predicted = (x[0, h - 1, windows.left >= h][:, varies] for x in seen)
    found[h] = (true, predicted)
  return found


def squared_error(
  x: jax.Array, y: jax.Array, m: Moments, mask: np.ndarray | bool = True
) -> jax.Array:
  """Mean square of (x - y) / std over the features that vary, [W] of [W, *any, F].

  Args:
    x: vectors.
    y: others.
    m: of the features [F], or [*any, F]; pooled ones of agents with padding count its
      zeros, too.
    mask: bool [*any, F], False where a vector is padding.
  """
  counted = jnp.broadcast_to(m.varies & mask, x.shape[1:])
  z = jnp.where(counted, (x - y) / jnp.where(m.varies, m.std, 1.0), 0.0)
  return (z**2).reshape(len(x), -1).sum(-1) / jnp.maximum(counted.sum(), 1)
