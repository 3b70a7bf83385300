"""Whether an uncertainty knows when its model is wrong."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import jax
import numpy as np
from scipy import stats

from logo_jax.data import stream
from logo_jax.data.dataset import (
  CALIBRATION_ROWS,
  LoadedDataset,
  evenly_spaced,
  transitions,
)
from logo_jax.evaluation import open_loop
from logo_jax.evaluation.open_loop import Rollouts, Scorer, Windows
from logo_jax.types import Params, Prediction, Rows, Transition, Uncertainty, WorldModel

_SHUFFLE_SEED = 0

# How the scores of a rollout's steps become one of the rollout; axis of steps: 1.
_ALONG = {
  "": lambda scores: scores,
  "_cummax": lambda scores: np.maximum.accumulate(scores, 1),
  "_cumsum": lambda scores: np.cumsum(scores, 1, dtype=np.float64),
}


def make_scorer(
  uncertainty: Uncertainty, model: WorldModel, params: Params, loaded: LoadedDataset
) -> Scorer:
  """An uncertainty with parameters for each seed, as training makes them.

  Args:
    uncertainty: one that the model has enough views for.
    model: the world model.
    params: with a leading axis of seeds.
    loaded: the dataset.
  """
  data = loaded.data
  held_out = evenly_spaced(np.asarray(data.select), CALIBRATION_ROWS)
  bank = evenly_spaced(np.asarray(data.train), uncertainty.bank_size)

  @jax.jit
  def every_seed(params: Params, keys: jax.Array, held_out: Transition, bank: Any):
    def one_seed(both: Any) -> Params:
      return uncertainty.init(model, both[0], held_out, bank, both[1])

    # One seed after the other: these are many transitions at once.
    return jax.lax.map(one_seed, (params, keys))

  keys = jax.random.split(jax.random.key(0), jax.tree.leaves(params)[0].shape[0])
  known = _read(loaded, bank) if len(bank) else ()
  return Scorer(uncertainty, every_seed(params, keys, _read(loaded, held_out), known))


def rank_correlations(
  rolled: Rollouts, horizons: Sequence[int]
) -> dict[str, dict[str, np.ndarray]]:
  """Spearman's correlation of scores with the error of the state that they belong to.

  At horizon h the score of the h-th step, and as `<name>_cummax` and `<name>_cumsum`
  the largest and the sum of the scores up to there, against the error of the state
  after h steps, over the rollouts that go so far; of models that predict no states,
  against that of the observations.

  Returns:
    Name of the score to horizon to [S]; NaN where one of the two is constant.
  """
  no_states = np.isnan(rolled.state_error).all()
  error = rolled.obs_error if no_states else rolled.state_error
  found: dict[str, dict[str, np.ndarray]] = {}
  for name, steps in rolled.scores.items():
    for suffix, along in _ALONG.items():
      scores, by_horizon = along(steps), {}
      for h in horizons:
        here = rolled.left >= h
        if here.any():
          pairs = zip(scores[:, h - 1], error[:, h - 1], strict=True)
          by_horizon[str(h)] = np.array([spearman(x[here], y[here]) for x, y in pairs])
      found[name + suffix] = by_horizon
  return found


def separations(
  model: WorldModel,
  params: Params,
  loaded: LoadedDataset,
  windows: Windows,
  scorers: Mapping[str, Scorer],
) -> dict[str, np.ndarray]:
  """How well scores tell recorded transitions from ones with others' actions.

  The joint actions are shuffled among the transitions, legal or not; what the model
  imagines for either is scored.

  Returns:
    Name of the score to areas under the ROC curve, [S].
  """
  order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(windows.start))

  def scores_of(loaded: LoadedDataset) -> dict[str, np.ndarray]:
    def one_seed(both: Any, rows: Rows, windows: Windows) -> Any:
      def look(t: Transition, p: Prediction, true: Transition) -> Any:
        return open_loop.score(scorers, both[1], t, p)

      return open_loop.imagine(model, both[0], rows, windows, 1, look)

    both = (params, {name: s.params for name, s in scorers.items()})
    return open_loop.in_chunks(one_seed, both, loaded, windows)

  recorded = scores_of(loaded)
  shuffled = scores_of(_with_others_actions(loaded, windows.start, order))
  return {
    name: np.array(
      [auroc(x[0], y[0]) for x, y in zip(low, shuffled[name], strict=True)]
    )
    for name, low in recorded.items()
  }


def spearman(x: np.ndarray, y: np.ndarray) -> float:
  """The correlation of the ranks of `x` and `y`, both [W]; NaN if one is constant."""
  ranks = [stats.rankdata(v) for v in (x, y)]
  if not np.isfinite([x, y]).all() or min(np.ptp(r) for r in ranks) == 0:
    return float("nan")
  return float(np.corrcoef(*ranks)[0, 1])


def auroc(negative: np.ndarray, positive: np.ndarray) -> float:
  """The chance that a positive scores higher than a negative, ties counting half."""
  ranks = stats.rankdata(np.concatenate([negative, positive]))
  above = ranks[len(negative) :].sum() - len(positive) * (len(positive) + 1) / 2
  return float(above / (len(negative) * len(positive)))


def _read(loaded: LoadedDataset, index: np.ndarray) -> Transition:
  rows, places = stream.gather_if_on_host(loaded.data.rows, index, 1)
  return transitions(rows, places)


def _with_others_actions(
  loaded: LoadedDataset, start: np.ndarray, order: np.ndarray
) -> LoadedDataset:
  """The dataset whose rows `start` have the actions of rows `start[order]`."""
  rows = loaded.data.rows
  action = np.array(rows.action)
  action[start] = action[start[order]]
  rows = rows._replace(
    action=jax.device_put(action) if isinstance(rows.reward, jax.Array) else action
  )
  return dataclasses.replace(loaded, data=loaded.data._replace(rows=rows))
