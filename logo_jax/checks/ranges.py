"""Checks of numbers in configurations."""

from typing import Any


def check_seed(name: str, first: int, count: int = 1) -> None:
  """Refuses seeds that JAX's keys would not tell apart, or cannot take.

  Args:
    name: of the field.
    first: the seed.
    count: how many there are, from the first one on.

  Raises:
    ValueError: naming the field, the value and what is allowed.
  """
  low, high = -(2**31), 2**31 - 1
  if not low <= first <= high:
    raise ValueError(f"{name}: must be from {low} to {high}, got {first}")
  if first + count - 1 > high:
    raise ValueError(
      f"num_seeds: must be at most {high - first + 1} with {name} {first}, got {count}"
    )


def check(section: str, config: Any, **ranges: str) -> None:
  """Refuses fields outside of their range.

  Args:
    section: prefix of the fields' names in the message, for example "learner."; may be
      empty.
    config: a dataclass instance.
    **ranges: field to range: "(0", above 0; "[0", 0 or more; "[1", "[2", that or more;
      "(0,1)", "(0,1]", "[0,1)" or "[0,1]", between 0 and 1 without or with the ends.

  Raises:
    ValueError: naming the first such field, its value and what is allowed.
  """
  for name, allowed in ranges.items():
    value = getattr(config, name)
    if not _inside(value, allowed):
      raise ValueError(f"{section}{name}: must be {_WORDS[allowed]}, got {value}")


def check_divides(section: str, config: Any, part: str, whole: str) -> None:
  """Refuses a field that does not divide another one.

  Args:
    section: as of `check`.
    config: a dataclass instance; both fields are whole numbers above 0.
    part: the field that divides.
    whole: the field that is divided.

  Raises:
    ValueError: naming both, their values and what is allowed.
  """
  number, total = getattr(config, part), getattr(config, whole)
  if total % number:
    raise ValueError(
      f"{section}{part}: must divide {section}{whole} ({total}), got {number}"
    )


_WORDS = {
  "(0": "above 0",
  "[0": "0 or more",
  "[1": "at least 1",
  "[2": "at least 2",
  "(0,1)": "between 0 and 1",
  "(0,1]": "above 0 and at most 1",
  "[0,1)": "at least 0 and below 1",
  "[0,1]": "at least 0 and at most 1",
}


def _inside(value: float, allowed: str) -> bool:
  low = float(allowed[1])
  above = value > low if allowed[0] == "(" else value >= low
  if "," not in allowed:
    return above and value < float("inf")
  return above and (value < 1 if allowed[-1] == ")" else value <= 1)
