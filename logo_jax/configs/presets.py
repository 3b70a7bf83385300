"""Every system spelled out as a composition of components."""

from collections.abc import Callable
import dataclasses
from typing import Any

from logo_jax.checks import reading
from logo_jax.configs import compositions, registry
from logo_jax.configs.config import ExperimentConfig, FitConfig
from logo_jax.configs.registry import Component, component

# Steps are dearer for networks of entities. 6,000 of Muon leave an error for which Adam
# takes 20,000.
_ENTITY_FIT = FitConfig(
  updates=6_000,
  batch_size=64,
  optimizer="muon",
  learning_rate=5e-3,
  interval=1_000,
  unroll=4,
  unroll_updates=4_000,
)


def _entity(preset: str, base: str) -> ExperimentConfig:
  """A preset whose world model reads entities."""
  config = get(base)
  assert config.model is not None
  fields: dict[str, Any] = {"network": "entity", "hidden_size": 128}
  uncertainty = config.uncertainty
  if config.model.name == "logo":
    # The auxiliary path shares the trunk: its say costs nothing. Eq. 3's encoder has
    # brought nothing. What the second path says of its own error tells most.
    fields |= {"auxiliary_share": 0.5, "encode_weight": 0.0}
    uncertainty = component("uncertainty", "path_discrepancy", spread=True)
  model = Component(
    config.model.name, dataclasses.replace(config.model.config, **fields)
  )
  return dataclasses.replace(
    config, preset=preset, model=model, uncertainty=uncertainty, fit=_ENTITY_FIT
  )


def _in_the_model(
  preset: str,
  base: str,
  uncertainty: str | Component = "",
  weighting: str | Component = "uniform",
) -> ExperimentConfig:
  """A preset whose policies learn on whole rollouts in the model of another one.

  An update is on 512 rollouts of 8 steps, so that there are few of them.
  """
  config = get(base)
  chosen = {"uncertainty": uncertainty, "weighting": weighting}
  parts = {
    kind: component(kind, x) if isinstance(x, str) else x
    for kind, x in chosen.items()
    if x
  }
  return dataclasses.replace(
    config,
    preset=preset,
    learner=component("learner", "mappo"),
    horizon=8,
    num_starts=512,
    total_updates=240,
    collect_interval=20,
    evaluation=dataclasses.replace(config.evaluation, interval=60),
    checkpoint=dataclasses.replace(config.checkpoint, interval=60),
    **parts,
  )


_PRESETS = {
  # Policies learn on whole rollouts in the local-to-global world model.
  "logo": lambda: _in_the_model("logo", "logo_entity"),
  # The same where vectors are not known to split into units, or agents are unlike.
  # Where falls are rare and rewards dense, rollouts may be longer.
  "logo_flat": lambda: dataclasses.replace(
    _in_the_model("logo_flat", "logo_macql"), horizon=20, num_starts=256
  ),
  # The same with the paper's trust: steps weigh by confidence (Eq. 7).
  "logo_confidence": lambda: _in_the_model(
    "logo_confidence",
    "logo_entity",
    weighting=component("weighting", "confidence", temperature=0.5),
  ),
  # Other models in LOGO's place: a direct one, and an ensemble whose rollouts pay
  # for disagreement, as in MOMA-PPO (Barde et al., 2023).
  "direct_mappo": lambda: _in_the_model(
    "direct_mappo", "direct_entity", uncertainty="none"
  ),
  # A yardstick: the game itself in the model's place. Not offline.
  "simulator_mappo": lambda: dataclasses.replace(
    _in_the_model("simulator_mappo", "direct", uncertainty="none"),
    model=component("model", "simulator"),
    fit=FitConfig(updates=1, interval=1),  # there is nothing to fit
  ),
  "moma_ppo": lambda: _in_the_model(
    "moma_ppo",
    "ensemble",
    uncertainty="disagreement",
    weighting=component("weighting", "penalty", free=0.0),
  ),
  # The local-to-global world model with uncertainty-weighted sampling of its rows, and
  # the paper's learner.
  "logo_macql": lambda: compositions.model_based("logo_macql"),
  # The same with the world model, and the uncertainty, that the equations say.
  "logo_literal": lambda: compositions.model_based(
    "logo_literal",
    model=component(
      "model",
      "logo",
      deduce_input="obs",
      local_action="own",
      deduce_real_weight=0.0,
      reconstruct_weight=1.0,
      variance_exponent=0.0,
    ),
    uncertainty=component("uncertainty", "path_discrepancy", by_kind=False),
  ),
  # The same with imagined transitions drawn uniformly.
  "logo_uniform": lambda: compositions.model_based(
    "logo_uniform", uncertainty="none", weighting="uniform"
  ),
  # The same, with rewards that pay for uncertainty (Eq. 1).
  "logo_penalty": lambda: compositions.model_based("logo_penalty", weighting="penalty"),
  # The same with another learner.
  "logo_omiga": lambda: compositions.model_based("logo_omiga", learner="omiga"),
  "logo_cfcql": lambda: compositions.model_based("logo_cfcql", learner="cfcql"),
  "logo_omar": lambda: compositions.model_based("logo_omar", learner="omar"),
  # MACQL whose policies imitate what is planned in LOGO's model (Table 4), and MACQL
  # beside such plans at play.
  "logo_mpc": lambda: compositions.planning("logo_mpc", 1.0, "policy"),
  "macql_mpc": lambda: compositions.planning("macql_mpc", 0.0, "planner"),
  # Other world models in LOGO's place: a direct one, without an uncertainty, and an
  # ensemble, whose unit of uncertainty is made to mean what LOGO's does.
  # All three have networks of one kind and width.
  "direct": lambda: compositions.model_based(
    "direct",
    model=component("model", "direct", network="mlp", hidden_size=256),
    uncertainty="none",
    weighting="uniform",
  ),
  "ensemble": lambda: compositions.model_based(
    "ensemble",
    model="ensemble",
    uncertainty=component("uncertainty", "disagreement", quantile=0.95, by_kind=True),
  ),
  # The same with networks that read entities: far more accurate where the environment
  # has a layout, and slower to fit.
  "logo_entity": lambda: _entity("logo_entity", "logo_macql"),
  "direct_entity": lambda: _entity("direct_entity", "direct"),
  "ensemble_entity": lambda: _entity("ensemble_entity", "ensemble"),
  # Agents that learn apart, in models of their own observations, and stop imagining
  # where members disagree (Kidambi et al., 2020) or data are far (Qiao et al., 2025).
  # MOReL's four members are all but deterministic and learn from all data.
  "morel": lambda: compositions.model_based(
    "morel",
    model=component(
      "model",
      "ensemble",
      scope="local",
      num_members=4,
      variance_exponent=1.0,
      bootstrap=False,
    ),
    uncertainty=component("uncertainty", "disagreement", kind="pairwise"),
    weighting="halt",
    learner=compositions.local_cql(),
  ),
  # The search is dear, so that fewer rollouts are begun, and kept for longer.
  "sumo": lambda: dataclasses.replace(
    compositions.model_based(
      "sumo",
      model=component("model", "ensemble", scope="local", num_members=7),
      uncertainty="knn_search",
      weighting="halt",
      learner=compositions.local_cql(),
    ),
    num_starts=128,
    replay_collections=80,
  ),
  # Policies learned from searches in a model of latents, which is the learner's own.
  "mazero": lambda: ExperimentConfig(
    "mazero", component("learner", "mazero"), batch_size=256
  ),
  # MAZero's model in LOGO's place, with decoders; MACQL learns on what these say.
  "mazero_macql": lambda: dataclasses.replace(
    compositions.model_based(
      "mazero_macql", model="value_equivalent", uncertainty="none", weighting="uniform"
    ),
    fit=FitConfig(
      updates=20_000,
      batch_size=640,
      learning_rate=5e-4,
      interval=1_000,
      patience=10,
      unroll=5,
      unroll_updates=20_000,
    ),
  ),
  # MAMBA's model (Egorov & Shpilman, 2022) in LOGO's place; MACQL learns on what it
  # decodes, drawn uniformly. Its code's batches, 40 windows of 20 steps, and rate. A
  # start filters a window: fewer rollouts are begun, and kept for longer.
  "mamba": lambda: dataclasses.replace(
    compositions.model_based(
      "mamba", model="rssm", uncertainty="none", weighting="uniform"
    ),
    fit=FitConfig(
      updates=20_000, batch_size=800, learning_rate=2e-4, interval=1_000, patience=10
    ),
    num_starts=512,
    replay_collections=20,
  ),
  # Its policies, too: they and the value read what the model has come to believe, and
  # learn on rollouts of latents (MAPPO's loss). Play filters, with messages.
  "mamba_native": lambda: dataclasses.replace(
    _in_the_model("mamba_native", "mamba"),
    reads="believed",
    batch_size=800,
    horizon=15,
    num_starts=256,
  ),
  # Model-free baselines.
  "macql": lambda: ExperimentConfig("macql", component("learner", "macql")),
  "cfcql": lambda: ExperimentConfig("cfcql", component("learner", "cfcql")),
  "omiga": lambda: ExperimentConfig("omiga", component("learner", "omiga")),
  "omar": lambda: ExperimentConfig("omar", component("learner", "omar")),
  "bc": lambda: ExperimentConfig("bc", component("learner", "bc")),
}


def learns_on_rollouts(config: ExperimentConfig) -> bool:
  """Whether an update is on whole rollouts: far fewer, of far more, than on batches."""
  return registry.eats(config.learner.name) == "rollouts"


def register(name: str, make: Callable[[], ExperimentConfig]) -> None:
  """Makes a preset of yours known, for flags, entries of sweeps and tables to name.

  Doing it again changes nothing.

  Args:
    name: of the preset; results are filed under it.
    make: its configuration, called when it is asked for.

  Raises:
    ValueError: the name is taken, or none that flags can say.
  """
  if not name or any(x in ":@,/=" or x.isspace() for x in name):
    raise ValueError(f"preset: {name!r} must be a name without : @ , / = and spaces")
  if name == "published" or _PRESETS.get(name, make) is not make:
    raise ValueError(f"preset: {name!r} is taken; choose another name")
  _PRESETS[name] = make


def names() -> tuple[str, ...]:
  """The presets' names."""
  return tuple(_PRESETS)


def get(name: str) -> ExperimentConfig:
  """A preset's configuration.

  Raises:
    ValueError: no such preset.
  """
  if name not in _PRESETS:
    names = reading.listed(_PRESETS, near=name)
    raise ValueError(f"preset: must be one of {names}; got {name!r}")
  made = _PRESETS[name]()
  if not isinstance(made, ExperimentConfig):
    raise ValueError(
      f"preset: what makes {name!r} must return an ExperimentConfig, but returned a "
      f"{type(made).__name__}"
    )
  return dataclasses.replace(made, preset=name)
