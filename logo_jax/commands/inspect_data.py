"""Shows what a dataset is, checks it rule by rule, and draws it.

Examples:
  logo-jax inspect_data --dataset=smax/2s3z/medium-replay --data_dir=data
  logo-jax inspect_data --dataset=path/to/dataset --out=dataset.png

Exit status 1 where the dataset is corrupt, cut short or breaks a rule.
"""

import pathlib
from typing import Any

from absl import flags

from logo_jax.data import inspect, remarks, source, store
from logo_jax.reporting import dataset_figure

_DATASET = flags.DEFINE_string(
  "dataset",
  "smax/2s3z/medium-replay",
  "Name of a dataset, with @<size> where it has one, or the path of one.",
)
_DATA = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_OUT = flags.DEFINE_string(
  "out", None, "The figure, a PNG; ./inspect-<name>.png where none is given."
)

# The card's most important lines come first; the rest follows in its own order.
_FIRST = (
  *("name", "scenario", "quality", "num_transitions", "num_episodes"),
  *("return_mean", "return_std", "return_min", "return_max", "win_rate"),
  *("length_mean", "length_min", "length_max", "saco", "identical_episodes", "spec"),
)


def main(argv: list[str]) -> None:
  del argv
  out = pathlib.Path(_OUT.value or f"inspect-{_DATASET.value.strip('/.')}.png")
  if not _OUT.value:
    out = pathlib.Path(out.as_posix().replace("/", "-"))
  if not out.parent.is_dir():
    raise ValueError(f"out: there is no folder {out.parent}")
  folder, stored = _open(_DATASET.value, pathlib.Path(_DATA.value))
  _print_card(stored.card)
  for line in remarks.remarks(stored):
    print(f"note: {line}")
  print()
  broken = 0
  for check in inspect.checks(stored):
    good = check.row is None
    print(f"ok   {check.rule}" if good else f"BAD  {check.broken}, row {check.row}")
    broken += not good
  if broken:
    raise ValueError(f"{_DATASET.value} breaks {broken} of the rules above")
  numbers = inspect.summarise(stored)
  if folder is not None:
    store.read(folder)  # the hash of all bytes
    print("ok   content_hash is that of the arrays")
  wrong = inspect.disagreements(stored.card, numbers)
  print(f"BAD  {'; '.join(wrong)}" if wrong else "ok   the card's numbers are so")
  if wrong:
    raise ValueError(f"{_DATASET.value}: {'; '.join(wrong)}")
  _print_numbers(numbers)
  dataset_figure.draw(out, numbers, str(stored.card.get("name", _DATASET.value)))
  print(f"\nfigure: {out}")


def _open(
  name: str, data_dir: pathlib.Path
) -> tuple[pathlib.Path | None, store.StoredDataset]:
  """The dataset, and its folder where it lies in the library's own format."""
  if source.is_registered(name):
    return None, source.read(name, data_dir)
  for folder in (data_dir / name, pathlib.Path(name)):
    if (folder / store.CARD).is_file():
      return folder, store.read(folder, verify=False)
  from logo_jax.data import formats

  if formats.is_path(name):
    return None, formats.read(name)
  return data_dir / name, store.read(data_dir / name, verify=False)


def _print_card(card: dict[str, Any]) -> None:
  keys = [key for key in _FIRST if key in card]
  keys += [key for key in card if key not in _FIRST and key != "shapes"]
  width = max(len(key) for key in keys) + 1
  for key in keys:
    print(f"{key + ':':<{width}} {_text(card[key])}")


def _text(value: Any) -> str:
  if isinstance(value, dict):
    return ", ".join(f"{key} {_text(x)}" for key, x in value.items())
  return f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_numbers(numbers: inspect.Summary) -> None:
  for name, bands in (("obs", numbers.obs), ("state", numbers.state)):
    print(
      f"ok   {name}: {len(bands.least)} features within {bands.least.min():.4g} and "
      f"{bands.greatest.max():.4g}; {bands.num_constant} constant, "
      f"{bands.num_near_constant} nearly so"
    )
  print(
    f"ok   SACo {numbers.saco:.3f}: distinct pairs of joint observation and joint "
    "action over transitions"
  )
  print(f"ok   {numbers.identical_episodes:.1%} of the episodes repeat an earlier one")
