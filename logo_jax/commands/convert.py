"""Converts a dataset that can be read into our own format, a vault or one of Minari's.

Example: logo-jax convert --dataset=2s3z_medium.h5 --out=data/2s3z_medium
"""

import pathlib
import time

from absl import flags

from logo_jax.data import formats, remarks, source, store
from logo_jax.data.formats import minari, vault
from logo_jax.io.logging import say

_DATASET = flags.DEFINE_string(
  "dataset", None, "A path, or the name of a dataset below --data_dir.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_TO = flags.DEFINE_enum("to", "own", ["own", "vault", "minari"], "What to write.")
_OUT = flags.DEFINE_string(
  "out",
  None,
  "Folder to write; for a vault best <scenario>.vlt/<quality>, for Minari <name>-v0.",
  required=True,
)
_OPTIONS = (
  flags.DEFINE_integer(
    "time_limit",
    None,
    "Of a vault, a CFCQL file or an OMAR folder: the time limit; episodes of so many "
    "steps were cut, not ended.",
  ),
  flags.DEFINE_boolean(
    "timeout_bootstrap", None, "Of an OMIGA file: 1000 steps are a cut, not an end."
  ),
  flags.DEFINE_integer("num_agents", None, "Of an OMAR folder: agents to take."),
  flags.DEFINE_enum(
    "action_range",
    None,
    ["refuse", "clip", "rescale"],
    "Of a vault, an OMAR folder or an .npz: what to do to actions beyond [-1, 1].",
  ),
  flags.DEFINE_enum(
    "team_reward",
    None,
    ["refuse", "mean", "sum"],
    "Of the same: what to do to rewards that differ between agents.",
  ),
)


def main(argv: list[str]) -> None:
  del argv
  start = time.monotonic()
  _check_out(pathlib.Path(_OUT.value))
  path = _DATASET.value
  options = {o.name: o.value for o in _OPTIONS if o.value is not None}
  if source.is_registered(path):
    stored = source.read(path, _DATA_DIR.value, options)
  else:
    if not formats.is_path(path):
      path = f"{_DATA_DIR.value}/{path}"
    stored = formats.read(path, **options)
  for line in remarks.remarks(stored):
    say(f"{path}: {line}")
  if _TO.value == "own":
    folder = store.write(_OUT.value, *stored)
  else:
    write = {"vault": vault.write, "minari": minari.write}[_TO.value]
    folder = write(stored, _OUT.value)
  card = stored.card
  print(
    f"{folder}: {card['num_transitions']} transitions, {card['num_episodes']} episodes"
    f" of {card['length_mean']:.1f} steps, return {card['return_mean']:.3f}"
    f" +- {card['return_std']:.3f}, {time.monotonic() - start:.0f} s"
  )


def _check_out(out: pathlib.Path) -> None:
  """Refuses to write over other things before minutes are spent on reading."""
  same = _TO.value == "own" and (out / store.CARD).is_file()  # it may be; write knows
  if not store.is_free(out) and not same:
    raise ValueError(f"--out {out} exists and is not empty; remove it first")
