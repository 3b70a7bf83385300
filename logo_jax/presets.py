"""Every system spelled out as a composition of components."""

from logo_jax.config import ExperimentConfig
from logo_jax.registry import Component, component


def _model_based(
  preset: str,
  model: Component | None = None,
  uncertainty: str = "path_discrepancy",
  weighting: str = "confidence",
  learner: str = "macql",
) -> ExperimentConfig:
  return ExperimentConfig(
    preset=preset,
    learner=component("learner", learner),
    model=model or component("model", "logo"),
    uncertainty=component("uncertainty", uncertainty),
    weighting=component("weighting", weighting),
  )


_PRESETS = {
  # The local-to-global world model with uncertainty-weighted sampling.
  "logo": lambda: _model_based("logo"),
  # The same with the world model that the equations say.
  "logo_literal": lambda: _model_based(
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
  ),
  # The same with imagined transitions drawn uniformly.
  "logo_uniform": lambda: _model_based(
    "logo_uniform", uncertainty="none", weighting="uniform"
  ),
  # The same with another learner.
  "logo_omiga": lambda: _model_based("logo_omiga", learner="omiga"),
  "logo_cfcql": lambda: _model_based("logo_cfcql", learner="cfcql"),
  "logo_omar": lambda: _model_based("logo_omar", learner="omar"),
  # Model-free baselines.
  "macql": lambda: ExperimentConfig("macql", component("learner", "macql")),
  "cfcql": lambda: ExperimentConfig("cfcql", component("learner", "cfcql")),
  "omiga": lambda: ExperimentConfig("omiga", component("learner", "omiga")),
  "omar": lambda: ExperimentConfig("omar", component("learner", "omar")),
  "bc": lambda: ExperimentConfig("bc", component("learner", "bc")),
}


def names() -> tuple[str, ...]:
  """The presets' names."""
  return tuple(_PRESETS)


def get(name: str) -> ExperimentConfig:
  """A preset's configuration.

  Raises:
    ValueError: no such preset.
  """
  if name not in _PRESETS:
    raise ValueError(f"preset: must be one of {', '.join(_PRESETS)}; got {name!r}")
  return _PRESETS[name]()
