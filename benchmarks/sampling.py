"""Weighted sampling against the number of rows that there are.

Times 128 draws in proportion to random weights, `--draws` of them in a scan, and the
preparation of the weights, which happens once for each refresh of the ring. The sizes
are called by turns; a ratio is that of one round to the least size.

Prints a table, and JSON with `--out`.

Example: python benchmarks/sampling.py --out=sampling.json
"""

from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import made_up

from logo_jax import cli
from logo_jax.io import files
from logo_jax.replay import sampling
from logo_jax.reporting import tables

_ROWS = flags.DEFINE_list(
  "rows", ["10000", "100000", "1000000", "2000000", "4000000"], "Numbers of rows."
)
_BATCH = flags.DEFINE_integer("batch_size", 128, "Rows of a draw.", 1)
_DRAWS = flags.DEFINE_integer("draws", 100, "Draws per timed call.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 20, "Timed calls of each size.", 1)
_QUICK = flags.DEFINE_bool("quick", False, "Few rows and calls, to see that it runs.")
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")


def main(argv: list[str]) -> None:
  del argv
  sizes = [1_000, 10_000] if _QUICK.value else [int(x) for x in _ROWS.value]
  repeats = 2 if _QUICK.value else _REPEATS.value
  prepare, draw = jax.jit(sampling.block_weights), jax.jit(_draws)
  weights = {n: jax.random.normal(jax.random.key(n), (n,)) for n in sizes}
  blocks = {n: prepare(w) for n, w in weights.items()}
  draws = made_up.by_turns(
    {n: lambda b=b: draw(b, jax.random.key(0)) for n, b in blocks.items()}, repeats
  )
  prepared = made_up.by_turns(
    {n: lambda w=w: prepare(w) for n, w in weights.items()}, repeats
  )
  draw_times = made_up.summary(draws, sizes[0])
  prepare_times = made_up.summary(prepared, sizes[0])
  rows = [_row(n, draw_times[n], prepare_times[n]) for n in sizes]
  print(tables.text_table(rows))
  if _OUT.value:
    files.write_json(
      _OUT.value,
      made_up.machine()
      | {
        "batch_size": _BATCH.value,
        "draws_per_call": _DRAWS.value,
        "draw": {str(n): times for n, times in draw_times.items()},
        "prepare": {str(n): times for n, times in prepare_times.items()},
      },
    )


def _draws(blocks: sampling.BlockWeights, key: jax.Array) -> jax.Array:
  def one(total: jax.Array, key: jax.Array):
    return total + sampling.sample(blocks, _BATCH.value, key).sum(), None

  return jax.lax.scan(one, jnp.int32(0), jax.random.split(key, _DRAWS.value))[0]


def _row(rows: int, draw: dict[str, Any], prepare: dict[str, Any]) -> dict[str, str]:
  low, high = (1e6 * x / _DRAWS.value for x in draw["seconds_range"])
  return {
    "rows": f"{rows:,}",
    "draw, us": f"{1e6 * draw['seconds'] / _DRAWS.value:.0f} ({low:.0f} to {high:.0f})",
    "ratio": f"{draw['ratio']:.2f}",
    "prepare, ms": f"{1e3 * prepare['seconds']:.2f}",
    "ns a row": f"{1e9 * prepare['seconds'] / rows:.1f}",
  }


if __name__ == "__main__":
  cli.run(main)
