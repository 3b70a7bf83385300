"""What the host loops of one experiment share."""

from collections.abc import Mapping
import dataclasses
import functools
import math
from typing import NamedTuple

import jax
from jax.sharding import Mesh
import numpy as np

from logo_jax.configs.config import ExperimentConfig
from logo_jax.envs import base
from logo_jax.evaluation import host
from logo_jax.evaluation.rollout import EpisodeResult, play
from logo_jax.io.logging import Stop, say
from logo_jax.io.run_folder import RunFolder
from logo_jax.training import hosts, parallel
from logo_jax.training.compose import System
from logo_jax.types import Actor, Dataset, Environment, HostEnvironment, Params

CLIPPED_SHARE = 0.05  # of targets, above which it is said


class Diverged(ValueError):
  """A metric is no longer finite."""


@dataclasses.dataclass
class Seconds:
  """Wall-clock time by phase, over all processes that worked on the run."""

  by_phase: dict[str, float]

  def add(self, phase: str, seconds: float) -> None:
    self.by_phase[phase] = self.by_phase.get(phase, 0.0) + seconds

  def as_metrics(self) -> dict[str, float]:
    return {f"seconds/{phase}": value for phase, value in self.by_phase.items()}


class Session(NamedTuple):
  """One experiment as the host loops see it."""

  config: ExperimentConfig
  system: System
  mesh: Mesh
  data: Dataset  # on the mesh, as `parallel.place` leaves it
  folder: RunFolder
  stop: Stop
  seconds: Seconds


_KEYS = {"model": 0, "train": 1, "clone": 2, "value": 3}  # of phases


def seed_keys(config: ExperimentConfig, phase: str) -> jax.Array:
  """One key per seed; the same for a seed in whatever company it runs."""
  seeds = np.arange(config.seed, config.seed + config.num_seeds)
  keys = jax.vmap(jax.random.key)(seeds)
  return jax.vmap(lambda key: jax.random.fold_in(key, _KEYS[phase]))(keys)


def by_seed(metrics: Mapping[str, jax.Array]) -> dict[str, np.ndarray]:
  """Metrics of each seed, [S], on the host."""
  found = parallel.fetch(dict(metrics))
  return {k: v.reshape(len(v), -1).mean(1) for k, v in found.items()}


def means(metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Metrics over seeds."""
  return {k: float(np.mean(v)) for k, v in metrics.items()}


def check_finite(metrics: Mapping[str, float], step: int, unit: str) -> None:
  """Raises `Diverged` for the first metric that is not finite."""
  for name, value in metrics.items():
    if not math.isfinite(value):
      raise Diverged(
        f"{name}: {value} at {unit} {step}; the last checkpoint, from before, is kept"
      )


class ClippingAlarm:
  """Says once that many targets lie outside of what the data allow.

  At first many do: values that have not been learned are noise around 0, and 0 is where
  the range of returns often ends.
  """

  def __init__(self, total_updates: int) -> None:
    """Looks from half of the updates on, or from the 5,000th."""
    self._since = min(total_updates // 2, 5_000)
    self._said = False

  def __call__(self, metrics: Mapping[str, float], step: int) -> None:
    """Looks at the metrics of a chunk."""
    share = metrics.get("learner/targets_clipped", 0.0)
    if share > CLIPPED_SHARE and step >= self._since and not self._said:
      self._said = True
      say(
        f"warning: at update {step} {share:.0%} of the targets of values are outside "
        "the range of returns in the data and are clipped to it; what they differ in "
        "is lost. learner.clip_target=False does without the range"
      )


class Evaluator:
  """Plays the policies of all seeds, in whichever kind of environment.

  Each seed has episodes of its own, so that an interval over seeds covers their noise;
  a seed's episodes are the same for every system.
  """

  def __init__(
    self,
    env: Environment | HostEnvironment,
    actor: Actor,
    mesh: Mesh,
    config: ExperimentConfig,
    greedy: bool = True,
  ):
    self._greedy = greedy  # the likeliest actions, or else sampled ones
    self.has_wins = base.has_wins(env.spec.name)
    self._config = config.evaluation
    self._seeds = np.arange(config.seed, config.seed + config.num_seeds)
    if isinstance(env, HostEnvironment):
      self._run = self._make_host_run(env, actor)
      return

    def run(policy: tuple[Params, jax.Array], key: jax.Array) -> EpisodeResult:
      params, seed = policy
      key = jax.random.fold_in(key, seed)
      episodes = config.evaluation.episodes
      return play(env, actor, params, episodes, key, greedy)

    self._run = parallel.map_eval(run, mesh)

  def _make_host_run(self, env: HostEnvironment, actor: Actor):
    """Like the compiled one: ((params, seeds), key) -> results [seeds, episodes]."""
    act = jax.jit(jax.vmap(functools.partial(actor.act, greedy=self._greedy)))

    def run(policy: tuple[Params, np.ndarray], key: jax.Array) -> EpisodeResult:
      params, seeds = policy
      if jax.process_count() > 1:  # all play, and the first one counts
        params = jax.device_put(parallel.fetch(params))
      keys = jax.vmap(jax.random.fold_in, (None, 0))(key, seeds)
      episodes = self._config.episodes
      memory = actor.initial_carry((len(seeds), episodes))
      played = host.play(env, act, params, memory, episodes, keys)
      return EpisodeResult(*hosts.arrays_of_first(played))

    return run

  def curve(self, params: Params) -> EpisodeResult:
    """A learning curve's point: the same episodes every time, [seeds, episodes]."""
    return self._play(params, 0)

  def final(self, params: Params, num_episodes: int) -> EpisodeResult:
    """Other episodes than the curve's, [seeds, num_episodes]."""
    count = math.ceil(num_episodes / self._config.episodes)
    parts = [self._play(params, 1 + i) for i in range(count)]
    joined = jax.tree.map(lambda *x: np.concatenate(x, 1), *parts)
    return jax.tree.map(lambda x: x[:, :num_episodes], joined)

  def _play(self, params: Params, group: int) -> EpisodeResult:
    key = jax.random.fold_in(jax.random.key(self._config.seed), group)
    return parallel.fetch(self._run((params, self._seeds), key))
