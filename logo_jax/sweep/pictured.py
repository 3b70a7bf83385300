"""The numbers behind pictures: few enough to be kept with the code."""

import os
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from logo_jax.data import source
from logo_jax.data.dataset import LoadedDataset, evenly_spaced
from logo_jax.deploy.policy import load_policy
from logo_jax.evaluation import open_loop
from logo_jax.ops.standardise import standardise
from logo_jax.reporting import model_figure, model_results
from logo_jax.runs import experiment, playback
from logo_jax.runs.model_study import Fitted
from logo_jax.watching.episode import play

POINTS = 200  # of a panel
EPISODES = 32  # that are played, at most
_ROWS = 4_096  # of the data, behind principal components


class Plane(NamedTuple):
  """Two principal components."""

  centre: np.ndarray  # [F]
  directions: np.ndarray  # [2, F]
  shares: np.ndarray  # [2], of the variance

  def points(self, x: np.ndarray) -> np.ndarray:
    """States [W, F] on the plane, [2, W]."""
    return self.directions @ (np.asarray(x, np.float64) - self.centre).T


def plane_of(x: np.ndarray) -> Plane:
  """The plane of the first two principal components of states [W, F]."""
  return Plane(*model_figure.principal_components(np.asarray(x, np.float64)))


def kept(points: np.ndarray) -> list[list[float]]:
  """At most `POINTS` of points [D, W], evenly spaced, with three decimals."""
  return np.round(evenly_spaced(points.T, POINTS), 3).T.tolist()


def model_states(fitted: Fitted, loaded: LoadedDataset) -> dict[str, Any]:
  """What a world model says of the states one step on, on the test split.

  Args:
    fitted: the model.
    loaded: the data.

  Returns:
    `measures`, state errors as `reporting.model_results` has them, of all seeds;
    `persistence`, the same of predicting that nothing changes; `shares`, of the
    variance; and `points`: `true` and `predicted` ones of the first seed, [2, P] each,
    on the components of the true states, which are those of all models.

  Raises:
    ValueError: the model predicts no states.
  """
  model, params = fitted.imagination.model, fitted.params
  if not model.predicts_state:
    raise ValueError("model: it predicts observations alone, and no states")
  windows = open_loop.take_windows(loaded)
  rolled = open_loop.roll_out(model, params, loaded, windows, (1,))
  seen = open_loop.predicted_states(model, params, loaded, windows, (1,))
  true, predicted = seen[1]
  plane = plane_of(true)
  mse = rolled.state_error[:, 0].mean(-1, dtype=np.float64)
  moved = rolled.state_moved[0].mean(dtype=np.float64)
  points = {"true": true, "predicted": predicted}
  return {
    "measures": model_results.over_seeds({"state_rmse": {"1": np.sqrt(mse)}}),
    "persistence": {"state_rmse": {"1": float(np.sqrt(moved))}},
    "shares": plane.shares.tolist(),
    "points": {name: kept(plane.points(x)) for name, x in points.items()},
  }


def visits(run_dir: str | os.PathLike[str], episodes: int) -> dict[str, Any]:
  """States that a run's policies visit, greedy and of the first seed.

  Args:
    run_dir: a finished run; it is only read. Its data must be there.
    episodes: how many are played.

  Returns:
    `measures`: `spread`, the variance of the standardised states visited over that of
    the data's, and `reward`, the mean of a step; `shares`, of the variance; and
    `points`: `data` [2, P] and `visited` [3, P], states on the components of the data's
    and, last, the reward of the step from there, in the environment's units.

  Raises:
    ValueError: no such run, other data, or nothing plays them.
  """
  config, known = playback.of_run(run_dir)
  env, why = source.environment(known.card, known.spec)
  if env is None:
    raise ValueError(f"dataset: {config.dataset} cannot be played: {why}")
  loaded = experiment.load_dataset(config, make=False)
  moments = loaded.statistics.state
  varies = np.asarray(moments.varies)

  def features(states: np.ndarray) -> np.ndarray:
    return np.asarray(standardise(jnp.asarray(states), moments))[:, varies]

  rows = loaded.data.rows.state
  recorded = features(np.asarray(rows[evenly_spaced(np.arange(len(rows)), _ROWS)]))
  policy, plane = load_policy(run_dir), plane_of(recorded)
  played = [play(env, policy, seed).rows for seed in range(episodes)]
  visited = features(np.concatenate([rows.state[:-1] for rows in played]))
  reward = np.concatenate([rows.reward[:-1] for rows in played])
  spread, of_data = (x.var(0, dtype=np.float64).sum() for x in (visited, recorded))
  of_steps = np.concatenate([plane.points(visited), reward[None]])
  measures = {"spread": spread / of_data, "reward": reward.mean(dtype=np.float64)}
  return {
    "measures": model_results.over_seeds(measures),
    "shares": plane.shares.tolist(),
    "points": {"data": kept(plane.points(recorded)), "visited": kept(of_steps)},
  }
