"""What an imagined step costs: LOGO beside ensembles (Table 5, LOGO, AAMAS 2026).

All models say the same of every step: next state, observations, reward, termination,
legal actions and their own uncertainty in calibrated units, which is the discrepancy of
paths for LOGO, the disagreement of all members for an ensemble, and nothing for the
direct model. Timed are

  sequential  500 trajectories of 10 steps one after the other: each is one call of a
              compiled scan with a batch of 1, and has ended before the next one starts
  batched     the same 500 trajectories in one call
  train step  loss and gradient on a batch of 128 transitions; an ensemble's is the sum
              over its members

without the policy: trajectories start from recorded steps of held-out episodes, which
the environment's behaviours have just played, and take the actions recorded there.
Parameters are untrained, which does not change what is computed. After two calls each,
which compile, the models are called by turns, so that whatever else the machine does
hits all alike; a ratio is the median over the rounds of the ratio to LOGO's call of the
same round. Beside them stand the parameters and the multiply-adds of a step: half the
operations that XLA counts in the compiled step of one trajectory, `cost_analysis()`,
element-wise ones among them, and those of the matrix products alone.

Ensembles, and the direct model, which is their member, come in two sizes: "same", as
wide as LOGO; and "matched", so wide that one member has as many parameters as LOGO, for
which each member is as good a model as LOGO may be expected to be. LOGO's parameters
include an encoder that only its training uses.

Others (`--others`) are timed beside those of the first network, as their presets have
them; training steps are of single transitions, though models with a memory learn on
windows.

Prints a table, and JSON with `--out`.

Example: python benchmarks/model_step.py --scenario=smax/2s3z --networks=mlp,entity \
  --out=model_step.json
"""

import pathlib
from typing import Any

from absl import flags

from logo_jax import cli
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.sweep import model_step

_SCENARIO = flags.DEFINE_string("scenario", "smax/2s3z", "Whose steps.")
_NETWORKS = flags.DEFINE_list("networks", ["mlp", "entity"], "Of mlp and entity.")
_MEMBERS = flags.DEFINE_list("members", ["5", "7"], "Sizes of ensembles.")
_OTHERS = flags.DEFINE_list(
  "others", [], "Presets whose world models are timed as they are: mamba, mazero_macql."
)
_HIDDEN = flags.DEFINE_integer("hidden_size", 256, "LOGO's, units.", 2)
_TRAJECTORIES = flags.DEFINE_integer("trajectories", 500, "How many.", 1)
_HORIZON = flags.DEFINE_integer("horizon", 10, "Steps of each.", 1)
_BATCH = flags.DEFINE_integer("batch_size", 128, "Of a training step.", 1)
_TRANSITIONS = flags.DEFINE_integer("transitions", 5000, "To record; see above.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 20, "Timed calls of each model.", 2)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")


def main(argv: list[str]) -> None:
  del argv
  for text in _MEMBERS.value:
    if not text.isdecimal():
      raise ValueError(f"members: must be whole numbers from 2 on; got {text!r}")
  config = model_step.Config(
    scenario=_SCENARIO.value,
    networks=tuple(_NETWORKS.value),
    members=tuple(int(text) for text in _MEMBERS.value),
    hidden_size=_HIDDEN.value,
    others=tuple(_OTHERS.value),
    trajectories=_TRAJECTORIES.value,
    horizon=_HORIZON.value,
    batch_size=_BATCH.value,
    transitions=_TRANSITIONS.value,
    repeats=_REPEATS.value,
  )
  model_step.check(config)
  if _OUT.value:  # what cannot be written is told before
    pathlib.Path(_OUT.value).absolute().parent.mkdir(parents=True, exist_ok=True)
  model_step.measured(config, _show)


def _show(report: dict[str, Any]) -> None:
  print(
    tables.text_table([model_step.line(row) for row in report["models"]]), flush=True
  )
  if _OUT.value:
    files.write_json(_OUT.value, report)


if __name__ == "__main__":
  cli.run(main)
