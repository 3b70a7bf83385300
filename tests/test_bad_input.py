"""Damaged and hostile files: one line that names them, and nothing is changed.

A table of what is damaged, what reads it, and what the line must name.
"""

from collections.abc import Callable
import json
import pathlib
import shutil

import h5py
import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.data import collect, formats
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import results as result_rows
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment, playback
from tests import sound_files
from tests.sound_files import refused


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
  """One of each, sound."""
  root = tmp_path_factory.mktemp("sound")
  sound_files.write(root)
  return root


def _collect(root: pathlib.Path) -> None:
  request = collect.Request("smax/3m/mixed", 10, 0, root / "behaviours")
  collect.collect(request, root / "made")


def _read_run(root: pathlib.Path) -> None:
  run_outputs.read_metrics(root / "run")
  result_rows.check(
    run_outputs.read_results(root / "run"), str(root / "run/results.json")
  )
  RunFolder.open(root / "run", sound_files.BC | {"dataset_hash": "0"}).close()


_READ: dict[str, Callable[[pathlib.Path], object]] = {
  "own": lambda root: formats.read(root / "own"),
  "vault": lambda root: formats.read(root / "vault"),
  "omar": lambda root: formats.read(root / "omar"),
  "h5": lambda root: formats.read(root / "file.h5"),
  "run": _read_run,
  "train": lambda root: experiment.check(presets.get("bc"), root / "run"),
  "evaluate": lambda root: playback.evaluate(root / "run", 8),
  "collect": _collect,
}


def _header(text: str) -> bytes:
  return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _shape(text: str) -> bytes:
  header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {text}}}\n"
  return _header(header) + bytes(64)


_CHOKING_ARRAYS = {
  "negative": _shape("(-1, 3)"),
  "huge": _shape(f"({10**30}, {10**30})"),
  "unclosed": _header("{'descr': '<f4', 'shape': ((((((\n"),
  "garbage": _header("\x00\x01)]}'''\n"),
  "deep": _header("(" * 5000 + "\n"),
  "objects": _shape("(1,)").replace(b"<f4", b"|O "),
  "words": _shape("(1,)").replace(b"<f4", b"<U4"),
  "empty": b"",
  "pickle": b"\x80\x04N.",
}
_CHOKING_JSON = {
  "empty": b"",
  "garbage": b"\x00{",
  "bytes": b'{"a": "\xff\xfe"}',
  "deep": b"[" * 100_000,
  "nested": b'{"a":' * 200 + b"1" + b"}" * 200,
  "list": b"[1, 2]",
  "null": b"null",
  "infinite": b'{"a": 1e999}',
  "huge": b'{"a": 1' + b"0" * 5_000 + b"}",
}
_ARRAYS = {
  "own/obs.npy": "own",
  "own/episode_start.npy": "own",
  "omar/next_obs_0.npy": "omar",
  "vault/final/legal.npy": "vault",
}
_JSONS = {
  "own/card.json": "own",
  "vault/metadata.json": "vault",
  "run/config.json": "run",
  "run/results.json": "run",
  "behaviours/smax/3m/index.json": "collect",
}
_BYTES = [
  (path, content, reader, path.rpartition("/")[2])
  for table, contents in ((_ARRAYS, _CHOKING_ARRAYS), (_JSONS, _CHOKING_JSON))
  for path, reader in table.items()
  for content in contents.values()
]
_NPZ = "behaviours/smax/3m/1.npz"
_BYTES += [
  (_NPZ, content, "collect", r"1\.npz is damaged or no \.npz file")
  for content in (b"", b"PK\x03\x04", b"\x80\x04N.", _shape("(1,)"))
]
_METRICS = [
  ("7\n" * 2, "line 1 must be a JSON object, is 7"),
  ("[1]\n{}\n", r"line 1 must be a JSON object, is \[1\]"),
  ("{\n{}\n", "line 1 is not JSON"),
  (
    '{"step": 1}\n',
    "line 1: phase: must be model or clone or .*; got 'nothing'",
  ),
  ('{"phase": "train", "step": "1"}\n', "line 1: step: must be a whole .*; got '1'"),
  ('{"phase": "train", "step": 1, "x": "y"}\n', "line 1: x: must be a num.*; got 'y'"),
]
_BYTES += [
  ("run/metrics.jsonl", text.encode(), "run", f"metrics.jsonl, {message}")
  for text, message in _METRICS
]


@pytest.fixture
def copied(sound, tmp_path):
  return shutil.copytree(sound, tmp_path / "copy")


@pytest.mark.parametrize("reader", ["own", "vault", "omar", "h5", "run"])
def test_what_is_sound_is_read(copied, reader):
  _READ[reader](copied)


@pytest.mark.parametrize(
  ("path", "content", "reader", "named"),
  _BYTES,
  ids=[f"{path}-{i}" for i, (path, *_) in enumerate(_BYTES)],
)
def test_what_a_parser_chokes_on(copied, path, content, reader, named):
  (copied / path).write_bytes(content)
  refused(copied, _READ[reader], named)


_GONE = object()
_CARD, _INDEX = "own/card.json", "behaviours/smax/3m/index.json"
_FIELDS = [
  *((_CARD, name, _GONE, f"card.json: {name}: missing") for name in (
    "num_transitions", "num_episodes", "return_mean", "return_std", "length_mean"
  )),
  (_CARD, "spec.name", 3, "spec.name: must be of type str; got 3"),
  (_CARD, "spec.obs_sizes", [4, 4], "spec.obs_sizes: must be 3 numbers .*4, 4"),
  (_CARD, "spec.obs_sizes", "444", "spec.obs_sizes: must be of type list; got '444'"),
  (_CARD, "spec.obs_sizes", [4, None, 4], r"spec.obs_sizes\[1\]: .* int; got None"),
  (_CARD, "spec.num_agents", 5.0, "spec.num_agents: must be of type int; got 5.0"),
  (_CARD, "spec.num_agents", -3, "spec.num_agents: must be at least 1, got -3"),
  (_CARD, "spec.action_kind", "both", "must be one of 'discrete', .*; got 'both'"),
  (_CARD, "spec.more", 1, "spec.more: unknown key; allowed are action_dim"),
  (_CARD, "spec", [1], "spec: must be of type object"),
  (_CARD, "return_mean", "1", "return_mean: must be of type float; got '1'"),
  (_CARD, "num_episodes", 4, "num_episodes 4 and num_transitions 7 are not those"),
  (_CARD, "scenario", 7, "scenario: must be of type str; got 7"),
  (_CARD, "shapes", {"obs": 3}, "shapes.obs: must be of type list; got 3"),
  ("vault/metadata.json", "logo_jax", [], "logo_jax in metadata.json must be"),
  ("vault/metadata.json", "logo_jax.spec.name", None, "spec.name: must be .* None"),
  (_INDEX, "more", 1, "index.json: more: unknown key"),
  (_INDEX, "seeds", _GONE, "index.json: seeds: missing"),
  (_INDEX, "seeds", 0, "index.json: seeds: must be of type list; got 0"),
  (_INDEX, "test_mode.epsilon", "x", "index.json: test_mode: must be greedy, .*'x'"),
  (_INDEX, "test_mode", {"greedy": True}, "index.json: test_mode.epsilon: missing"),
  (_INDEX, "random_return", "0", "random_return: must be of type float; got '0'"),
  (_INDEX, "snapshots", [], "snapshots: must be named smax/3m/0"),
  (_INDEX, "snapshots", [{}], r"snapshots\[0\].name: missing"),
  (_INDEX, "snapshots", {"a": 1}, "snapshots: must be of type list"),
  (_INDEX, "environment", "smax/9z", "environment: must be 'smax/3m'; got 'smax/9z'"),
  ("run/results.json", "preset", _GONE, "results.json: preset: missing"),
  ("run/results.json", "updates_per_second", "2", "updates_per_second: .* got '2'"),
  ("run/results.json", "win_rate_ci95", None, "win_rate_ci95: must go with win_rate"),
  ("run/results.json", "return_ci95", _GONE, "return_ci95: must go with return_mean"),
  ("run/results.json", "model", {"open_loop": 1}, "model.open_loop: must be .* got 1"),
  ("run/results.json", "model.open_loop.1", {}, "open_loop.1.state_rmse: missing"),
  ("run/config.json", "seed", "x", 'seed: 0 differs from "x"'),
]  # fmt: skip
_STORED = [
  ("dataset_hash", _GONE, "config.json: dataset_hash: must be of type str; got None"),
  ("batch_size", -4, "config.json: batch_size: must be at least 1, got -4"),
  ("seed", 2**63, "config.json: seed: must be from"),
  ("learner.name", ["bc"], r"config.json: learner.name: .*; got \['bc'\]"),
  ("learner", None, "config.json: learner: must be .*; got None"),
]


@pytest.mark.parametrize(("path", "field", "value", "named"), _FIELDS)
def test_fields_of_another_kind(copied, path, field, value, named):
  reader = _JSONS.get(path, path.partition("/")[0])
  _set(copied / path, field, value)
  refused(copied, _READ[reader], named)


@pytest.mark.parametrize(("field", "value", "named"), _STORED)
def test_a_run_whose_config_was_edited(copied, field, value, named):
  _set(copied / "run/config.json", field, value)
  refused(copied, _READ["evaluate"], named)


@pytest.mark.parametrize("content", [b"[]", b"null", b"\xff", b""])
def test_training_on_in_a_damaged_folder(copied, content):
  (copied / "run/config.json").write_bytes(content)
  refused(copied, _READ["train"], "config.json (is not JSON|must hold a JSON object)")


def _set(path: pathlib.Path, field: str, value) -> None:
  content = json.loads(path.read_text())
  *parents, last = field.split(".")
  within = content
  for parent in parents:
    within = within[parent]
  if value is _GONE:
    del within[last]
  else:
    within[last] = value
  path.write_text(json.dumps(content))


def _flipped(root: pathlib.Path) -> None:
  content = bytearray((root / _NPZ).read_bytes())
  content[len(content) // 2] ^= 0x40
  (root / _NPZ).write_bytes(content)


def _npz(**arrays) -> Callable[[pathlib.Path], None]:
  return lambda root: np.savez(root / _NPZ, allow_pickle=False, **arrays)


_LAYER = {"weight_0": np.zeros((78, 8), np.float32), "bias_0": np.zeros(8, np.float32)}


@pytest.mark.parametrize(
  ("damage", "named"),
  [
    (_flipped, r"1\.npz is damaged"),
    (_npz(a=np.zeros(2)), r"1\.npz: must hold weight_0, .*; it has a"),
    (_npz(), r"1\.npz: must hold weight_0, .*; it has none"),
    (_npz(weight_0=_LAYER["weight_0"]), "must hold weight_0, bias_0"),
    (
      _npz(**_LAYER),
      r"1\.npz: layers \[\(78, 8\), \(8,\)\] must be as those of smax/3m/0",
    ),
    (_npz(**_LAYER | {"bias_0": np.zeros(2, np.float32)}), r"its bias float32 \[2\]"),
    (_npz(**_LAYER | {"bias_0": np.zeros(8)}), r"its bias float64 \[8\]"),
    (_npz(**_LAYER | {"bias_1": np.zeros(8)}), "bias_1 are not of a layer"),
    (_npz(**_LAYER | {"weight_0": np.zeros((9, 8), np.float32)}), "do not fit smax/3m"),
    (_npz(**_LAYER | {"bias_0": np.full(8, np.nan, np.float32)}), "has NaN"),
    (_npz(**_LAYER | {"bias_0": np.array(["a"] * 3)}), "bias_0 is of type <U1"),
  ],
)
def test_snapshots(copied, damage, named):
  damage(copied)
  refused(copied, _READ["collect"], named)


def _relinked(key: str, make: Callable[[h5py.File, pathlib.Path], object]):
  def damage(root: pathlib.Path) -> None:
    shutil.copy(root / "file.h5", root / "other.h5")
    with h5py.File(root / "file.h5", "r+") as file:
      del file[key]
      made = make(file, root)
      if made is not None:
        file[key] = made

  return damage


def _virtual(file: h5py.File, root: pathlib.Path) -> None:
  layout = h5py.VirtualLayout((2, 4, 1), np.float32)
  layout[:] = h5py.VirtualSource(root / "other.h5", "reward", (2, 4, 1))
  file.create_virtual_dataset("reward", layout)


def _outside(file: h5py.File, root: pathlib.Path) -> None:
  external = [(str(root / "own/obs.npy"), 0, 32)]
  file.create_dataset("reward", (2, 4, 1), np.float32, external=external)


@pytest.mark.parametrize(
  ("damage", "named"),
  [
    (
      _relinked("obs", lambda file, root: h5py.ExternalLink(root / "other.h5", "obs")),
      "obs cannot be read: it is a link to another file, which is not followed",
    ),
    (
      _relinked("obs", lambda file, root: h5py.ExternalLink("/nowhere.h5", "obs")),
      "obs cannot be read: it is a link to another file",
    ),
    (
      _relinked("obs", lambda file, root: h5py.SoftLink("/gone")),
      "obs cannot be read: it is a link to another place",
    ),
    (
      _relinked("obs", lambda file, root: h5py.SoftLink("/obs")),
      "obs cannot be read: it is a link to another place",
    ),
    (
      _relinked("obs", lambda file, root: h5py.Empty(np.float32)),
      "obs cannot be read: it is empty",
    ),
    (_relinked("filled", lambda file, root: np.zeros((0, 4, 1))), "filled .* is empty"),
    (_relinked("obs", lambda file, root: np.dtype("f4")), "obs .* it is no dataset"),
    (_relinked("reward", _virtual), "reward .* it lies in another file"),
    (_relinked("reward", _outside), "reward .* it lies in another file"),
    (_relinked("obs", lambda file, root: np.array([b"a"] * 8)), "must be numbers"),
  ],
)
def test_hdf5_reads_nothing_from_elsewhere(copied, damage, named):
  damage(copied)
  refused(copied, _READ["h5"], named)


def test_lists_are_cut(copied):
  """A file of many groups is no line of many kilobytes."""
  with h5py.File(copied / "file.h5", "w") as file:
    for i in range(300):
      file.create_group(f"episode_{i:03d}")
  refused(copied, _READ["h5"], "with episode_000, .*episode_009 and 290 more;")
