"""Updates per second of published code and of ours, by turns in one process.

The published code is a checkout of yours; nothing of it is in this repository. It needs
PyTorch (`pip install torch`; its build for CPUs is enough):

  git clone https://github.com/thu-rllab/CFCQL
  git clone https://github.com/ZhengYinan-AIR/OMIGA
  python benchmarks/peers.py --cfcql=CFCQL --omiga=OMIGA --out=peers.json

Both see the same random transitions of a robot's shapes, and have networks of one
width. A call is five updates. CFCQL's code (`macql`, `cfcql`, `omar`) makes five of the
values and one of the policies in that; ours makes five of both, and so does OMIGA's.
Numbers of sampled actions and the like are each code's own: a ratio compares what users
run, not one and the same arithmetic.
"""

from collections.abc import Callable
from typing import Any

from absl import flags
import jax
import made_up
import peer_code

from logo_jax import cli
from logo_jax.data import source
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.types import Batch, EnvSpec

_CFCQL = flags.DEFINE_string("cfcql", None, "CFCQL's checkout: macql, cfcql, omar.")
_OMIGA = flags.DEFINE_string("omiga", None, "OMIGA's checkout: omiga.")
_SCENARIO = flags.DEFINE_string("scenario", "mamujoco/halfcheetah-6x1", "Whose shapes.")
_BATCH = flags.DEFINE_integer("batch", 128, "Transitions of an update.", 2)
_WIDTH = flags.DEFINE_integer("hidden_size", 256, "Of all networks.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 10, "Timed calls of each.", 1)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")

_UPDATES = 5  # of a call


def main(argv: list[str]) -> None:
  del argv
  spec = source.spec(_SCENARIO.value + "/medium")
  if spec is None or spec.action_kind != "continuous":
    raise ValueError(f"scenario: must be one of mamujoco/, got {_SCENARIO.value!r}")
  checkouts = {"cfcql": _CFCQL.value, "omiga": _OMIGA.value}
  peers = peer_code.learners({k: x for k, x in checkouts.items() if x}, _WIDTH.value)
  batch = made_up.batch(spec, (_BATCH.value,))
  rows: dict[str, Any] = {}
  for name, make in peers.items():
    calls = {
      "here": _ours(name, spec, batch),
      "published": make(spec, batch.transition, _UPDATES),
    }
    rows[name] = made_up.summary(made_up.by_turns(calls, _REPEATS.value), "here")
    print(tables.text_table([_line(name, rows[name])]), flush=True)
  print(tables.text_table([_line(*row) for row in rows.items()]))
  if _OUT.value:
    sizes = {"batch": _BATCH.value, "hidden_size": _WIDTH.value, "updates": _UPDATES}
    report = {"scenario": _SCENARIO.value, **sizes, "torch": peer_code.version()}
    files.write_json(_OUT.value, made_up.machine() | report | {"learners": rows})


def _ours(name: str, spec: EnvSpec, batch: Batch) -> Callable[[], Any]:
  learner = made_up.learner(name, spec, hidden_size=_WIDTH.value)

  def updates(state: Any) -> Any:
    def update(state: Any, key: jax.Array) -> Any:
      return learner.update(state, batch, key)

    keys = jax.random.split(jax.random.key(1), _UPDATES)
    return jax.lax.scan(update, state, keys)[0]

  run, held = jax.jit(updates), [jax.jit(learner.init)(jax.random.key(0))]

  def call() -> Any:
    held[0] = run(held[0])
    return held[0]

  return call


def _line(name: str, row: dict[str, Any]) -> dict[str, str]:
  def rate(part: dict[str, Any]) -> str:
    low, high = (_UPDATES / x for x in reversed(part["seconds_range"]))
    middle = _UPDATES / part["seconds"]
    digits = 0 if middle >= 100 else 2
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"

  return {
    "learner": name,
    "here, updates/s": rate(row["here"]),
    "published, updates/s": rate(row["published"]),
    "times as fast": f"{row['published']['ratio']:.1f}",
  }


if __name__ == "__main__":
  cli.run(main, cached=False)
