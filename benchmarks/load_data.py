"""Opening a large dataset and training on it, from the device and from disk.

Writes random rows of the size of SMAX 2s3z in the library's own format, or takes a
folder. In a fresh process per placement it measures the seconds and the memory to open,
verify and place them; then, in one process, updates per second in both placements, in
blocks of several compiled calls by turns: within a block rows are read ahead just as in
training. Files are dropped from the page cache before each opening, where the system
allows it; training begins with a warm cache and reads from there what fits. Resident
memory counts mapped pages of the files, which the system takes back when it needs them;
anonymous memory is what the process itself holds. Prints JSON.

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

from logo_jax import cli
from logo_jax.configs import presets
from logo_jax.data import dataset, store
from logo_jax.io import files
from logo_jax.runs import outcomes
from logo_jax.training import feeds, loop, parallel
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
_CHUNKS = flags.DEFINE_integer("chunks", 3, "Timed calls of a block, after one.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Blocks of each placement.", 1)
_OUT = flags.DEFINE_string("out", None, "Where to write the JSON, beside printing it.")
_OPEN = flags.DEFINE_enum(
  "open", None, ["device", "host"], "Only open the folder so; for the program itself."
)

PLACEMENTS = ("device", "host")
_LENGTH = 100  # steps of an episode
_EPISODES_AT_ONCE = 100


def main(argv: list[str]) -> None:
  del argv
  if _FOLDER.value and not (pathlib.Path(_FOLDER.value) / store.CARD).is_file():
    raise FileNotFoundError(f"folder: {_FOLDER.value} holds no dataset, {store.CARD}")
  if _OPEN.value and _FOLDER.value:
    print(json.dumps(_open(_FOLDER.value, _OPEN.value)))
    return
  with contextlib.ExitStack() as stack:
    folder = _FOLDER.value
    if folder is None:
      if _SCRATCH.value:
        pathlib.Path(_SCRATCH.value).mkdir(parents=True, exist_ok=True)
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
    card = {"name": "random/2s3z/random", "spec": spec.stored()}
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


class _Run:
  """Training from one placement, a block of calls at a time."""

  def __init__(self, stored: store.StoredDataset, placement: Any):
    config = dataclasses.replace(
      presets.get(_PRESET.value), collect_interval=_STEPS.value
    )
    self._mesh = parallel.make_mesh(1, 1)
    loaded = dataset.load(stored, placement)
    self._train = make_train(compose(config, loaded.spec, loaded.statistics), config)
    self._data = parallel.place(loaded.data, self._mesh)
    keys = jax.vmap(jax.random.key)(jnp.arange(1))
    self.state = loop.init_train(self._train, self._mesh, keys, (), self._data)
    self._chunk = parallel.map_chunk(
      self._train.chunk, self._mesh, self.state, placement == "host"
    )
    self._step = 0
    self.rates: list[float] = []  # updates per second, of each block
    self.waited: list[float] = []  # seconds per call, of each block

  def block(self) -> None:
    """One call that fills the pipeline, and compiles at first; then the timed ones.

    The feed reads on beyond the block, so that the last call too runs beside a read.
    """
    interval = _STEPS.value
    steps = range(self._step, self._step + (_CHUNKS.value + 1) * interval, interval)
    self._step, waited, start = steps.stop, 0.0, 0.0
    with feeds.make_feeds(
      self._data,
      self._train.draw,
      self._mesh,
      self.state.key,
      interval,
      steps.stop + interval,
    ) as feed:
      for step in steps:
        if step == steps[1]:
          waited, start = 0.0, time.perf_counter()
        asked = time.perf_counter()
        fed = feed(step)
        waited += time.perf_counter() - asked
        self.state, _ = jax.block_until_ready(self._chunk(self.state, fed))
      seconds = time.perf_counter() - start
    self.rates.append(_CHUNKS.value * interval / seconds)
    self.waited.append(waited / _CHUNKS.value)


def _train(folder: str) -> dict[str, Any]:
  """Blocks of both placements by turns, so that both meet the same other load."""
  stored = store.read(folder, verify=False)
  runs = {placement: _Run(stored, placement) for placement in PLACEMENTS}
  for i in range(_REPEATS.value):
    for placement in PLACEMENTS[:: 1 if i % 2 == 0 else -1]:
      runs[placement].block()
  leaves = [jax.tree.leaves(run.state.learner) for run in runs.values()]
  report: dict[str, Any] = {
    "identical": all(bool((a == b).all()) for a, b in zip(*leaves, strict=True)),
    "page_cache": "warm",
  }
  for placement, run in runs.items():
    report[placement] = {
      "updates_per_second": statistics.median(run.rates),
      "updates_per_second_range": [min(run.rates), max(run.rates)],
      "seconds_waited_for_rows": statistics.median(run.waited),
    }
  pairs = zip(runs["host"].rates, runs["device"].rates, strict=True)
  report["host_to_device"] = statistics.median(host / device for host, device in pairs)
  return report


if __name__ == "__main__":
  cli.run(main)
