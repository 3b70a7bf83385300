"""Makes datasets by playing behaviour policies.

Examples:
  logo-jax collect --dataset=smax/2s3z/medium-replay --out=data
  logo-jax collect --dataset=all --out=data

What lies in the output folder already is left alone: an interrupted command goes on
where it stopped.
"""

from collections.abc import Sequence
import math
import pathlib
import time
from typing import Any

from absl import flags
import tqdm

from logo_jax.behaviours import library
from logo_jax.data import collect, source, store
from logo_jax.envs import base
from logo_jax.reporting import tables

_DATASET = flags.DEFINE_string(
  "dataset",
  "smax/2s3z/medium-replay",
  "<suite>/<scenario>/<quality>, with @<size> or without, or all.",
)
_TRANSITIONS = flags.DEFINE_integer(
  "num_transitions",
  100_000,
  "At least so many joint transitions, whole episodes only; other sizes than the usual "
  "one lie beside it, under <name>@<size>.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_OUT = flags.DEFINE_string("out", "data", "Root folder of datasets.")
_BEHAVIOURS = flags.DEFINE_string(
  "behaviours", str(library.PARAMS_FOLDER), "Folder of behaviour policies."
)


def main(argv: list[str]) -> None:
  del argv
  behaviours = pathlib.Path(_BEHAVIOURS.value)
  everything = _DATASET.value == "all"
  names = collect.names(behaviours) if everything else (_DATASET.value,)
  if not names:
    raise ValueError(f"behaviours: {behaviours} holds no policies")
  names, missing = _installed(names)
  if missing and not everything:
    raise ImportError(missing[0])
  asked = [source.resolve(name, _TRANSITIONS.value, _OUT.value) for name in names]
  num, rows = asked[0][1], []
  with tqdm.tqdm(total=num * len(asked), unit=" transitions", unit_scale=True) as bar:
    for k, (name, _) in enumerate(asked):
      bar.set_description(name)

      def progress(complete: int, before: int = k * num) -> None:
        bar.update(before + complete - bar.n)

      start = time.monotonic()
      request = collect.Request(name, num, _SEED.value, behaviours)
      folder = collect.collect(request, _OUT.value, progress)
      rows.append(_row(folder, time.monotonic() - start))
      progress(num)
  print(tables.markdown_table(rows))
  if missing:
    raise ImportError(f"not all were made: {'; '.join(missing)}")


def _installed(names: Sequence[str]) -> tuple[list[str], list[str]]:
  """The datasets whose games are installed, and what is missing for the others."""
  found, missing = [], {}
  for name in names:
    try:
      base.make(collect.split_name(name)[0])
      found.append(name)
    except ImportError as error:
      missing[str(error)] = None
  return found, list(missing)


def _row(folder: pathlib.Path, seconds: float) -> dict[str, Any]:
  card = store.read(folder, verify=False).card
  winnable = card["behaviour"].get("expert_win_rate", 0) > 0
  size = sum(path.stat().st_size for path in folder.iterdir())
  return {
    "dataset": card["name"],
    "transitions": card["num_transitions"],
    "episodes": card["num_episodes"],
    "SACo": card.get("saco"),
    "return ± std": (card["return_mean"], card["return_std"]),
    "wins %": 100 * card.get("win_rate", math.nan) if winnable else None,
    "MB": round(size / 1e6),
    "seconds": round(seconds),
  }
