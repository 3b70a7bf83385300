"""What a run has come to: the content of results.json and its figure."""

from typing import Any

import jax
import numpy as np

import logo_jax
from logo_jax.data.dataset import LoadedDataset
from logo_jax.envs import base
from logo_jax.evaluation.rollout import EpisodeResult
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs, statistics
from logo_jax.training import plans
from logo_jax.training.session import Session


def summarise(result: EpisodeResult, has_wins: bool = True) -> dict[str, Any]:
  """Means with 95% intervals.

  With several seeds the intervals are over the seeds' means (Student's t); with one
  they are over its episodes (Student's t, and Wilson's for the win rate).

  Args:
    result: [seeds, episodes].
    has_wins: False leaves win rates out.

  Returns:
    `return_ci95` is a half width, `win_rate_ci95` the two ends.
  """
  returns, wins = np.asarray(result.episode_return), np.asarray(result.won)
  by_seed, wins_by_seed = returns.mean(1), wins.mean(1)
  if len(by_seed) > 1:
    mean, ci = statistics.mean_ci95(by_seed)
    rate, half = statistics.mean_ci95(wins_by_seed)
    ends = (max(0.0, rate - half), min(1.0, rate + half))
  else:
    mean, ci = statistics.mean_ci95(returns[0])
    ends = statistics.proportion_ci95(int(wins.sum()), wins.size)
  won = {
    "win_rate": float(wins.mean()),
    "win_rate_ci95": list(ends),
    "win_rate_by_seed": [float(x) for x in wins_by_seed],
  }
  return {
    "return_mean": mean,
    "return_ci95": ci,
    "ci95_over": "seeds" if len(by_seed) > 1 else "episodes",
    "length_mean": float(np.mean(result.length)),
    "episodes": int(wins.size),
    "return_by_seed": [float(x) for x in by_seed],
  } | (won if has_wins else {})


def device_name() -> str:
  """Kind of the default device, for example "cpu" or "NVIDIA H100"."""
  return jax.local_devices()[0].device_kind


def versions() -> dict[str, str]:
  """Of what figures depend on."""
  return {"logo_jax": logo_jax.__version__, "jax": jax.__version__}


def describe(session: Session, loaded: LoadedDataset) -> dict[str, Any]:
  """What was trained, on what and for how long."""
  config, card = session.config, loaded.card
  spent = session.seconds.by_phase
  episodes = card["num_episodes"]
  # Not of everybody's data, and not where nothing can be won.
  known = card.get("win_rate") if base.has_wins(loaded.spec.name) else None
  won = {}
  if known is not None:
    ends = statistics.proportion_ci95(round(known * episodes), episodes)
    won = {"dataset_win_rate": known, "dataset_win_rate_ci95": list(ends)}
  return {
    "preset": config.preset,
    "dataset": config.dataset,
    "dataset_transitions": card["num_transitions"],
    "dataset_return": card["return_mean"],
    "dataset_return_ci95": 1.96 * card["return_std"] / episodes**0.5,
    "dataset_episodes": episodes,
    "dataset_altered": card.get("altered", {}),  # by reading others' files
    "seed": config.seed,
    "num_seeds": config.num_seeds,
    "updates": config.total_updates,
    "updates_per_second": _updates_per_second(session),
    "seconds": spent,
    "device": f"{device_name()} x{session.mesh.size}",
    "versions": versions(),
  } | (won | plans.who(config, session.system))


def draw(folder: RunFolder, results: dict[str, Any]) -> None:
  """Draws the learning curve, where there is one, into the run's figures."""
  if "return_mean" not in results:
    return
  from logo_jax.reporting import figures  # matplotlib, at the end of a run only

  figures.learning_curves(
    folder.figures / "learning_curve.png",
    {results["preset"]: run_outputs.curve([folder.path], "evaluation/return")},
    reference=("dataset", results["dataset_return"]),
    title=f"{results['dataset']}, greedy play",
  )


def _updates_per_second(session: Session) -> float:
  """Updates of all seeds over the time of their chunks, but for the first, compiled."""
  rows = run_outputs.read_metrics(session.folder.path)
  rows = [r for r in rows if r["phase"] == "train" and r["step"] > 0]
  rows = [r for r in rows if "seconds/train" in r]
  steps = [r["step"] for r in rows]
  spent = np.diff([r["seconds/train"] for r in rows])
  rates = session.config.num_seeds * np.diff(steps) / np.maximum(spent, 1e-9)
  if not len(rates):
    spent_on_all = max(session.seconds.by_phase["train"], 1e-9)
    return session.config.num_seeds * session.config.total_updates / spent_on_all
  return float(np.median(rates))
