"""Configuration of an experiment: frozen dataclasses and their nested-dict form."""

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

from logo_jax.checks import schema
from logo_jax.configs import registry
from logo_jax.configs.registry import Component


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """How the dataset is held while it is trained on."""

  # "host": rows stay on disk, and only those of the next updates are on the device;
  # for datasets that do not fit. The results are the same bit for bit.
  placement: Literal["device", "host"] = "device"
  # Of a vault, a CFCQL file or an OMAR folder given by its path: episodes of so many
  # steps were cut, not ended; 0 believes the file. SMAC's vaults say "terminal" at the
  # time limit too.
  time_limit: int = 0
  # Of a vault, an OMAR folder or an .npz file given by its path: what to do to actions
  # beyond [-1, 1].
  action_range: Literal["refuse", "clip", "rescale"] = "refuse"
  # Of the same: what to do to rewards that differ between agents.
  team_reward: Literal["refuse", "mean", "sum"] = "refuse"
  # Of an OMIGA file given by its path: an episode of 1000 steps was cut, not ended.
  timeout_bootstrap: bool = True

  def reader_options(self) -> dict[str, Any]:
    """What differs from the readers' defaults, for `data.formats.read`."""
    options: dict[str, Any] = {}
    if self.time_limit:
      options["time_limit"] = self.time_limit
    for name in ("action_range", "team_reward"):
      if getattr(self, name) != "refuse":
        options[name] = getattr(self, name)
    if not self.timeout_bootstrap:
      options["timeout_bootstrap"] = False
    return options


@dataclasses.dataclass(frozen=True)
class FitConfig:
  """Phase 1 of Algorithm 1: fitting the world model."""

  updates: int = 6_000  # gradient steps
  batch_size: int = 128  # transitions
  # Of matrices; vectors have Adam in either. Muon's step takes longer, on a CPU above
  # all, and far fewer of them are needed (measured where networks read entities).
  optimizer: Literal["adam", "muon"] = "adam"
  learning_rate: float = 1e-3  # falling to 0 along a cosine
  interval: int = 500  # steps between evaluations on the selection split
  patience: int = 6  # evaluations without a better selection error; of each phase
  # Transitions in a window of the second phase, in which the model goes on from its own
  # predictions.
  unroll: int = 1
  unroll_updates: int = 0  # the last so many of `updates`, on windows


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
  """Playing the policy in the environment; greedy, and the same episodes each time."""

  interval: int = 2_500  # updates between evaluations
  episodes: int = 128  # at a time, in parallel; those of a learning curve's point
  final_episodes: int = 512  # of the figures in results.json, other than the curve's
  seed: int = 10_000  # of the episodes; apart from `seed`


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
  """What is kept of a run."""

  interval: int = 5_000  # updates between checkpoints, beside one per evaluation
  keep: int = 2  # last ones kept, beside the best


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
  """One experiment: a dataset, a composition of components, and a budget."""

  preset: str  # what results are filed under
  learner: Component
  model: Component | None = None  # with a model come uncertainty and weighting
  uncertainty: Component | None = None
  weighting: Component | None = None
  planner: Component | None = None  # gives a learner advice, or plays; needs a model
  # Who plays in evaluations: the learner's policies, each on what its agent sees, or
  # the planner, which sees the state and decides for all.
  actor: Literal["policy", "planner"] = "policy"
  # What policies and values read: observations and states, or what a model with a
  # memory has come to believe, which all agents' observations go into (MAMBA). The
  # latter is for learners on rollouts; play is centralised.
  reads: Literal["observed", "believed"] = "observed"
  # Folder of a run whose world model is taken over instead of fitting one; that run
  # must have the same model, fit, data and seeds: the result is the same bit for bit.
  model_run: str = ""
  # Folder of a run with whose learner this one begins, its parameters and target
  # networks: fine-tuning. That run must have the same learner, shapes and number of
  # seeds; inputs are standardised as they were there.
  init_from: str = ""
  dataset: str = "smax/2s3z/medium-replay"  # <suite>/<scenario>/<quality>
  data_dir: str = "data"  # where datasets lie, or are made
  # Of a dataset that has to be made. Another number than this makes, and means, a
  # dataset of its own, <dataset>@<number>.
  num_transitions: int = 100_000
  seed: int = 0  # of the first run
  num_seeds: int = 1  # runs trained side by side, with seeds seed, seed + 1, ...
  total_updates: int = 20_000  # learner updates; phase 3 of Algorithm 1
  batch_size: int = 128  # transitions per update; Table 8
  # Imagination, phase 2 of Algorithm 1.
  horizon: int = 5  # steps of an imagined rollout; the paper has 15
  num_starts: int = 2_048  # rollouts per collection
  collect_interval: int = 250  # updates between collections, and between host visits
  replay_collections: int = 5  # collections kept, first in first out
  # Updates at first that learn from real rows alone, and after which what was imagined
  # before is forgotten: the policy has to know what it does before it is followed. In a
  # batch with a fixed share of real rows these alone count. None: 1,000, or a fifth of
  # `total_updates` where that is less; until the next collection.
  imagine_after: int | None = None
  # How imagined episodes end: as the model has learned, or by the environment's rule on
  # the predicted state. None: by the rule where there is one (the hopper and the ant)
  # and the model predicts states, else as learned.
  termination: Literal["learned", "known"] | None = None
  real_share: float = 0.5  # of a batch; the rest is imagined
  # A fixed share of each batch, or the whole batch by a coin (Algorithm 1, line 25).
  mix: Literal["half", "bernoulli"] = "half"
  data_parallel: int = 1  # devices that share one run's batch
  # Where metrics go besides the run's metrics.jsonl: tensorboard, wandb, both with a
  # comma between them, or nothing. A resumed run may have others.
  loggers: str = "tensorboard"
  data: DataConfig = DataConfig()
  fit: FitConfig = FitConfig()
  evaluation: EvaluationConfig = EvaluationConfig()
  checkpoint: CheckpointConfig = CheckpointConfig()


def to_dict(config: ExperimentConfig) -> dict[str, Any]:
  """Nested plain dicts; a component is its fields and `name`."""

  def convert(value: Any) -> Any:
    if isinstance(value, Component):
      return {"name": value.name, **dataclasses.asdict(value.config)}
    if isinstance(value, tuple(_SECTIONS.values())):
      return dataclasses.asdict(value)
    return value

  fields = dataclasses.fields(config)
  return {f.name: convert(getattr(config, f.name)) for f in fields}


def from_dict(values: Mapping[str, Any]) -> ExperimentConfig:
  """The inverse of `to_dict`, checking every name and value.

  Raises:
    ValueError: an unknown key, a missing key, or a value of the wrong type or outside
      the allowed ones; the message names the key, the value and what is allowed.
  """
  values = dict(values)
  for kind in registry.KINDS:
    if values.get(kind) is not None:
      values[kind] = _component(kind, _fields(kind, values[kind]))
  for name, cls in _SECTIONS.items():
    if name in values:
      values[name] = schema.build(cls, _fields(name, values[name]), f"{name}.")
  return schema.build(ExperimentConfig, values)


_SECTIONS = {
  "data": DataConfig,
  "fit": FitConfig,
  "evaluation": EvaluationConfig,
  "checkpoint": CheckpointConfig,
}


def _fields(name: str, value: Any) -> dict[str, Any]:
  if not isinstance(value, Mapping):
    example = "name" if name in registry.KINDS else "field"
    raise ValueError(f"{name}: has fields, {name}.{example}=...; got {value!r}")
  return dict(value)


def _component(kind: str, fields: dict[str, Any]) -> Component:
  name = fields.pop("name", None)
  config_class = registry.module(kind, name).Config
  config = schema.build(config_class, fields, f"{kind}.", f" of {name!r}")
  return Component(name, config)
