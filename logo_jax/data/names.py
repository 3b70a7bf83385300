"""Names of datasets: <suite>/<scenario>/<quality>, and @<size> if it is not the usual.

Data of another size lie beside the usual ones, `medium-replay@5000` beside
`medium-replay`, and have that name in their card and in every table.
"""

SIZE = 100_000  # transitions of a dataset whose name says nothing


def split_size(name: str) -> tuple[str, int | None]:
  """A name without its size, and the size, None if the name says nothing.

  Raises:
    ValueError: what follows the @ is no size.
  """
  plain, at, text = name.partition("@")
  if not at:
    return name, None
  if not (text.isascii() and text.isdecimal()) or int(text) < 1 or text[0] == "0":
    raise ValueError(
      f"dataset {name!r}: @{text} must be a number of transitions, for example @5000"
    )
  return plain, int(text)


def with_size(name: str, num_transitions: int) -> str:
  """The name of data of so many transitions; `name` has none yet."""
  return name if num_transitions == SIZE else f"{name}@{num_transitions}"
