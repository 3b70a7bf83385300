"""Opening a large dataset and training on it, from the device and from disk.

Writes random rows of the size of SMAX 2s3z in the library's own format, or takes a
folder. In a fresh process per placement it measures the seconds and the memory to open,
verify and place them; then, in one process and by turns, updates per second in both
placements. Files are dropped from the page cache before each opening, where the system
allows it. Resident memory counts mapped pages of the files, which the system takes back
when it needs them; anonymous memory is what the process itself holds. Prints JSON.

Example: python benchmarks/load_data.py --gigabytes=1 --out=load.json
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import cli, files, outcomes, presets
from logo_jax.data import dataset, store
from logo_jax.training import loop, parallel
from logo_jax.training.compose import compose
from logo_jax.training.step import make_train
from logo_jax.types import EnvSpec, Rows

_FOLDER = flags.DEFINE_string("folder", None, "A dataset; None writes random rows.")
_GIGABYTES = flags.DEFINE_float("gigabytes", 1.0, "Size of the random rows.", 0.01)
_SCRATCH = flags.DEFINE_string(
  "scratch", None, "Where to write them; they are removed."
)
_PRESET = flags.DEFINE_string("preset", "macql", "A system without a world model.")
_STEPS = flags.DEFINE_integer("steps", 250, "Updates per compiled call.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls, after one to compile.", 1)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON, beside printing it.")
_OPEN = flags.DEFINE_enum(
  "open", None, ["device", "host"], "Only open the folder so; for the program itself."
)

PLACEMENTS = ("device", "host")
_LENGTH = 100  # steps of an episode
_EPISODES_AT_ONCE = 100


def main(argv: list[str]) -> None:
  del argv
  if _OPEN.value and _FOLDER.value:
    print(json.dumps(_open(_FOLDER.value, _OPEN.value)))
    return
  with contextlib.ExitStack() as stack:
    folder = _FOLDER.value
    if folder is None:
      scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=_SCRATCH.value))
      folder = str(_write(pathlib.Path(scratch)))
    report: dict[str, Any] = {
      "preset": _PRESET.value,
      "device": outcomes.device_name(),
      "jax": jax.__version__,
      "gigabytes": sum(p.stat().st_size for p in _arrays(folder)) / 1e9,
      "open": {p: _open_alone(folder, p) for p in PLACEMENTS},
      "train": _train(folder),
    }
  print(json.dumps(report, indent=2))
  print(_line(report))
  if _OUT.value:
    files.write_json(_OUT.value, report)


def _line(report: dict[str, Any]) -> str:
  parts = [f"{report['gigabytes']:.2f} GB"]
  for name in PLACEMENTS:
    opened, trained = report["open"][name], report["train"][name]
    parts.append(
      f"{name}: open {opened['seconds']:.1f} s, "
      f"+{opened['peak_anonymous_growth_gb']:.2f} GB, "
      f"{trained['updates_per_second']:.1f} updates/s"
    )
  return "; ".join(parts) + f"; host/device {report['train']['host_to_device']:.3f}"


def _write(scratch: pathlib.Path) -> pathlib.Path:
  """Random rows, made episode by episode: they need not fit into memory."""
  spec = EnvSpec("random/2s3z", 5, 127, 120, "discrete", 10, _LENGTH)
  rng = np.random.default_rng(0)
  shapes = {
    "obs": (np.float32, (5, 127)),
    "state": (np.float32, (120,)),
    "legal": (np.bool_, (5, 10)),
    "action": (np.int32, (5,)),
    "reward": (np.float32, ()),
    "discount": (np.float32, ()),
  }
  nbytes = sum(np.dtype(d).itemsize * int(np.prod(s)) for d, s in shapes.values())
  block = _EPISODES_AT_ONCE * (_LENGTH + 1)
  num_blocks = max(1, round(_GIGABYTES.value * 1e9 / nbytes / block))
  num_rows = num_blocks * block
  with tempfile.TemporaryDirectory(dir=scratch) as raw:
    arrays: dict[str, Any] = {
      name: np.lib.format.open_memmap(
        pathlib.Path(raw) / name, "w+", dtype, (num_rows, *shape)
      )
      for name, (dtype, shape) in shapes.items()
    }
    arrays["legal"][:], arrays["discount"][:] = True, 1
    for begin in range(0, num_rows, block):
      here = slice(begin, begin + block)
      for name in ("obs", "state"):
        shape = arrays[name][here].shape
        arrays[name][here] = rng.standard_normal(shape, np.float32)
      arrays["action"][here] = rng.integers(0, 10, (block, 5))
      arrays["reward"][here] = rng.random(block, np.float32)
    for name in ("action", "reward"):
      arrays[name][_LENGTH :: _LENGTH + 1] = 0  # nothing happens on final rows
    card = {"name": "random/2s3z/random", "spec": dataclasses.asdict(spec)}
    starts = np.arange(0, num_rows + 1, _LENGTH + 1)
    return store.write(scratch / "random", Rows(**arrays), starts, card)


def _arrays(folder: str) -> list[pathlib.Path]:
  return sorted(pathlib.Path(folder).glob("*.npy"))


def _open_alone(folder: str, placement: str) -> dict[str, float]:
  """`_open` in a process of its own, with cold files where possible."""
  for path in _arrays(folder):
    with path.open("rb") as file:
      os.fsync(file.fileno())
      if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
  command = [sys.executable, __file__, f"--folder={folder}", f"--open={placement}"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(f"opening {folder} failed: {done.stderr}")
  return json.loads(done.stdout)


def _open(folder: str, placement: Any) -> dict[str, float]:
  mesh = parallel.make_mesh(1, 1)
  jax.block_until_ready(jnp.zeros(1) + 1)  # what JAX itself takes is not counted
  with _peak_memory() as growth:
    start = time.perf_counter()
    stored = store.read(folder)
    read = time.perf_counter()
    loaded = dataset.load(stored, placement)
    data = parallel.place(loaded.data, mesh)
    jax.block_until_ready(data if placement == "device" else data.starts)
    end = time.perf_counter()
  return {
    "seconds": end - start,
    "seconds_to_verify": read - start,
    "peak_rss_growth_gb": growth["VmRSS"],
    "peak_anonymous_growth_gb": growth["RssAnon"],
  }


@contextlib.contextmanager
def _peak_memory() -> Iterator[dict[str, float]]:
  """Yields a dict that at the end holds the growth of the process, in GB."""
  fields = ("VmRSS", "RssAnon")

  def now() -> list[int]:
    text = pathlib.Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return [int(lines[name].split()[0]) for name in fields]  # in KiB

  first = peak = now()
  done = threading.Event()

  def watch() -> None:
    nonlocal peak
    while not done.wait(0.005):
      peak = [max(a, b) for a, b in zip(peak, now(), strict=True)]

  thread = threading.Thread(target=watch)
  thread.start()
  growth: dict[str, float] = {}
  try:
    yield growth
  finally:
    done.set()
    thread.join()
    for name, a, b, c in zip(fields, first, peak, now(), strict=True):
      growth[name] = (max(b, c) - a) * 1024 / 1e9


def _train(folder: str) -> dict[str, Any]:
  """Chunks of both placements by turns, so that both meet the same other load."""
  config = dataclasses.replace(
    presets.get(_PRESET.value), collect_interval=_STEPS.value
  )
  mesh = parallel.make_mesh(1, 1)
  stored = store.read(folder, verify=False)
  keys = jax.vmap(jax.random.key)(jnp.arange(1))
  runs: dict[str, list[Any]] = {}
  seconds: dict[str, list[float]] = {p: [] for p in PLACEMENTS}
  waited: dict[str, list[float]] = {p: [] for p in PLACEMENTS}
  with contextlib.ExitStack() as stack:
    for name in PLACEMENTS:
      loaded = dataset.load(stored, name)
      train = make_train(compose(config, loaded.spec, loaded.statistics), config)
      data = parallel.place(loaded.data, mesh)
      state = loop.init_train(train, mesh, keys, (), data)
      chunk = parallel.map_chunk(train.chunk, mesh, state, name == "host")
      end = (_REPEATS.value + 1) * _STEPS.value
      feeds = loop.make_feeds(data, train.draw, mesh, state.key, _STEPS.value, end)
      runs[name] = [state, chunk, stack.enter_context(feeds)]
    for i in range(_REPEATS.value + 1):
      for name, run in runs.items():
        start = time.perf_counter()
        fed = run[2](i * _STEPS.value)
        waited[name].append(time.perf_counter() - start)
        run[0], _ = jax.block_until_ready(run[1](run[0], fed))
        seconds[name].append(time.perf_counter() - start)
  leaves = [jax.tree.leaves(run[0].learner) for run in runs.values()]
  report: dict[str, Any] = {
    "identical": all(bool((a == b).all()) for a, b in zip(*leaves, strict=True))
  }
  for name in PLACEMENTS:
    rates = [_STEPS.value / s for s in seconds[name][1:]]  # the first one compiles
    report[name] = {
      "updates_per_second": statistics.median(rates),
      "updates_per_second_range": [min(rates), max(rates)],
      "seconds_waited_for_rows": statistics.median(waited[name][1:]),
    }
  pairs = zip(seconds["device"][1:], seconds["host"][1:], strict=True)
  report["host_to_device"] = statistics.median(d / h for d, h in pairs)
  return report


if __name__ == "__main__":
  cli.run(main)
