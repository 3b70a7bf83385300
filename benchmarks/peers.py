"""Updates per second of published code and of ours, by turns in one process.

The published code is a checkout of yours; nothing of it is in this repository. It needs
PyTorch (`pip install torch`; its build for CPUs is enough):

  git clone https://github.com/thu-rllab/CFCQL
  git clone https://github.com/ZhengYinan-AIR/OMIGA
  git clone https://github.com/instadeepai/og-marl
  python benchmarks/peers.py --cfcql=CFCQL --omiga=OMIGA --out=peers.json
  python benchmarks/peers.py --og_marl=og-marl

Both see the same random transitions of a scenario's shapes, and have networks of one
width. On robots a call is five updates on 128 transitions, 256 wide. CFCQL's code
(`macql`, `cfcql`, `omar`) makes five of the values and one of the policies in that;
ours makes five of both, and so does OMIGA's. On `--scenario=smax/5m_vs_6m`, or another
map, a call is one update on 128 episodes of 71 steps, with GRUs 64 wide, as CFCQL's
code for SMAC has it (`bc`, `macql`, `cfcql`, `omar`). With `--og_marl`, of robots,
it is one update of MADDPG with CQL on 32 sequences of 20 steps, GRUs 64 wide. Numbers
of sampled actions and the like are each code's own: a ratio compares what users run,
not one and the same arithmetic.
"""

from collections.abc import Callable
from typing import Any

from absl import flags
import jax
import made_up
import peer_code
import peer_episodes
import peer_sequences

from logo_jax import cli
from logo_jax.data import source
from logo_jax.io import files
from logo_jax.reporting import tables
from logo_jax.types import Batch, EnvSpec, Learner

_CFCQL = flags.DEFINE_string("cfcql", None, "CFCQL's checkout: macql, cfcql, omar.")
_OMIGA = flags.DEFINE_string("omiga", None, "OMIGA's checkout: omiga.")
_OG_MARL = flags.DEFINE_string("og_marl", None, "OG-MARL's checkout: macql, by itself.")
_SCENARIO = flags.DEFINE_string("scenario", "mamujoco/halfcheetah-6x1", "Whose shapes.")
_BATCH = flags.DEFINE_integer("batch", 128, "Transitions or episodes of an update.", 2)
_WIDTH = flags.DEFINE_integer("hidden_size", 256, "Of all networks of robots.", 1)
_LEARNERS = flags.DEFINE_list("learners", [], "Which; all that there are if none.")
_REPEATS = flags.DEFINE_integer("repeats", 10, "Timed calls of each.", 1)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON.")

_STEPS = 71  # of an episode on SMAC
_GRU = 64  # units of that code's networks


def main(argv: list[str]) -> None:
  del argv
  spec = source.spec(_SCENARIO.value + "/medium")
  if spec is None:
    raise ValueError(f"scenario: must be a known one, got {_SCENARIO.value!r}")
  peers, updates, shape, fields = _compared(spec)
  wanted = {name: peers[name] for name in _LEARNERS.value or peers}
  batch = made_up.batch(spec, shape)
  rows: dict[str, Any] = {}
  for name, make in wanted.items():
    calls = {
      "here": _ours(made_up.learner(name, spec, **fields), batch, updates),
      "published": make(spec, batch.transition, updates),
    }
    rows[name] = made_up.summary(made_up.by_turns(calls, _REPEATS.value), "here")
    print(tables.text_table([_line(name, rows[name], updates)]), flush=True)
  print(tables.text_table([_line(*row, updates) for row in rows.items()]))
  if _OUT.value:
    sizes = {"shape": list(shape), **fields, "updates": updates}
    report = {"scenario": _SCENARIO.value, **sizes, "torch": peer_code.version()}
    files.write_json(_OUT.value, made_up.machine() | report | {"learners": rows})


def _compared(spec: EnvSpec) -> tuple[dict, int, tuple[int, ...], dict[str, Any]]:
  """Published learners, a call's updates, axes of a batch, our learners' fields."""
  discrete = spec.action_kind == "discrete"
  if _OG_MARL.value:
    if discrete or _CFCQL.value or _OMIGA.value:
      raise ValueError("og_marl: goes with robots, and with no other checkout")
    steps, gru = peer_sequences.STEPS, peer_sequences.GRU
    peers, shape = (
      peer_sequences.learners(_OG_MARL.value),
      (peer_sequences.BATCH, steps),
    )
  elif discrete:
    peers, shape, gru = _episodes(), (_BATCH.value, _STEPS), _GRU
  else:
    return _transitions(), 5, (_BATCH.value,), {"hidden_size": _WIDTH.value}
  return peers, 1, shape, {"hidden_size": gru, "recurrent": True, "window": shape[1]}


def _transitions() -> dict[str, peer_code.Make]:
  checkouts = {"cfcql": _CFCQL.value, "omiga": _OMIGA.value}
  return peer_code.learners({k: x for k, x in checkouts.items() if x}, _WIDTH.value)


def _episodes() -> dict[str, peer_code.Make]:
  if not _CFCQL.value:
    raise ValueError(f"cfcql: must be named for {_SCENARIO.value}")
  return peer_episodes.learners(_CFCQL.value)


def _ours(learner: Learner, batch: Batch, num: int) -> Callable[[], Any]:
  def updates(state: Any) -> Any:
    def update(state: Any, key: jax.Array) -> Any:
      return learner.update(state, batch, key)

    keys = jax.random.split(jax.random.key(1), num)
    return jax.lax.scan(update, state, keys)[0]

  run, held = jax.jit(updates), [jax.jit(learner.init)(jax.random.key(0))]

  def call() -> Any:
    held[0] = run(held[0])
    return held[0]

  return call


def _line(name: str, row: dict[str, Any], updates: int) -> dict[str, str]:
  def rate(part: dict[str, Any]) -> str:
    low, high = (updates / x for x in reversed(part["seconds_range"]))
    middle = updates / part["seconds"]
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
