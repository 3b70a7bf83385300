"""Tables as aligned plain text, as Markdown and as LaTeX."""

from collections.abc import Mapping, Sequence
import math
from typing import Any

Row = Mapping[str, Any]


def format_mean_ci(mean: float, ci: float | None, digits: int = 2) -> str:
  """Writes `mean ± ci`; the mean alone where the half width is None or NaN."""
  if ci is None or math.isnan(ci):
    return f"{mean:.{digits}f}"
  return f"{mean:.{digits}f} ± {ci:.{digits}f}"


def text_table(
  rows: Sequence[Row], columns: Sequence[str] | None = None, digits: int = 2
) -> str:
  """Lays rows out in aligned columns: words to the left, numbers to the right.

  Args:
    rows: one mapping from column to cell per row. A cell is a string, a number, a pair
      (mean, half width), a bool, or None where there is nothing.
    columns: which columns to show, in order; None takes all, as they first appear.
    digits: decimals of floats.

  Returns:
    The table, lines joined without a final newline.

  Raises:
    ValueError: no row has one of `columns`.
  """
  header, body, numeric = _cells(rows, columns, digits)
  widths = _widths([header, *body])
  rule = ["-" * width for width in widths]
  lines = [_aligned(line, widths, numeric) for line in [header, rule, *body]]
  return "\n".join("  ".join(line).rstrip() for line in lines)


def markdown_table(
  rows: Sequence[Row], columns: Sequence[str] | None = None, digits: int = 2
) -> str:
  """Like `text_table`, as a Markdown table."""
  header, body, numeric = _cells(rows, columns, digits)
  header, *body = [
    [cell.replace("|", "\\|") for cell in line] for line in [header, *body]
  ]
  widths = [max(3, width) for width in _widths([header, *body])]
  rule = [
    "-" * (width - 1) + ":" if right else "-" * width
    for width, right in zip(widths, numeric, strict=True)
  ]
  lines = [_aligned(line, widths, numeric) for line in [header, rule, *body]]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex_table(rows: Sequence[Row], caption: str = "", digits: int = 2) -> str:
  """Like `text_table`, as a LaTeX table; needs the package booktabs.

  What is bold in Markdown, `**1.0**`, is bold here.
  """
  header, body, numeric = _cells(rows, None, digits)
  header, *body = [[_latex(cell) for cell in line] for line in [header, *body]]
  lines = [f"    {' & '.join(line)} \\\\" for line in body]
  return "\n".join(
    [
      "\\begin{table}",
      "  \\centering",
      f"  \\caption{{{_latex(caption)}}}",
      f"  \\begin{{tabular}}{{{''.join('lr'[right] for right in numeric)}}}",
      "    \\toprule",
      f"    {' & '.join(header)} \\\\",
      "    \\midrule",
      *lines,
      "    \\bottomrule",
      "  \\end{tabular}",
      "\\end{table}\n",
    ]
  )


def _latex(text: str) -> str:
  for char in "&%#_$":
    text = text.replace(char, f"\\{char}")
  if text.startswith("**") and text.endswith("**"):
    text = f"\\textbf{{{text[2:-2]}}}"
  return text.replace("±", "$\\pm$").replace("–", "--").replace("²", "$^2$")


def _cells(
  rows: Sequence[Row], columns: Sequence[str] | None, digits: int
) -> tuple[list[str], list[list[str]], list[bool]]:
  """Header, formatted cells, and which columns hold numbers alone."""
  known = list(dict.fromkeys(name for row in rows for name in row))
  header = known if columns is None else list(columns)
  for name in header:
    if rows and name not in known:
      raise ValueError(f"column: {name!r} is not allowed; use {', '.join(known)}")
  body = [[_format(row.get(name), digits) for name in header] for row in rows]
  numeric = [
    any(name in row for row in rows)
    and all(_is_number(row[name]) for row in rows if row.get(name) is not None)
    for name in header
  ]
  return header, body, numeric


def _is_pair(value: Any) -> bool:
  return isinstance(value, tuple) and len(value) == 2


def _is_number(value: Any) -> bool:
  return _is_pair(value) or not isinstance(value, str | bool)


def _format(value: Any, digits: int) -> str:
  if value is None:
    return "–"
  if _is_pair(value):
    return format_mean_ci(*value, digits=digits)
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, str | int):
    return str(value)
  return f"{float(value):.{digits}f}"


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
  return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _aligned(
  line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]
) -> list[str]:
  return [
    cell.rjust(width) if right else cell.ljust(width)
    for cell, width, right in zip(line, widths, numeric, strict=True)
  ]
