"""One call opens every format, and says what to do with all others."""

import pathlib
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from logo_jax import types
from logo_jax.data import formats, store
from logo_jax.data.formats import vault

_ROOT = pathlib.Path(__file__).parents[3]


def _own(folder) -> pathlib.Path:
  spec = types.EnvSpec("toy/x", 1, 2, 3, "discrete", 2, 9)
  rows = types.Rows(
    obs=np.arange(12, dtype=np.float32).reshape(6, 1, 2),
    state=np.arange(18, dtype=np.float32).reshape(6, 3),
    legal=np.ones((6, 1, 2), bool),
    action=np.array([1, 0, 0, 1, 1, 0], np.int32)[:, None],
    reward=np.array([1, 2, 0, 3, 4, 0], np.float32),
    discount=np.array([1, 0, 1, 1, 1, 1], np.float32),
  )
  card = {"name": "toy/x/random", "spec": spec.stored() | {"obs_sizes": []}}
  return store.write(folder, rows, np.array([0, 3, 6]), card)


def _cfcql(path) -> pathlib.Path:
  with h5py.File(path, "w") as file:
    for name, size in (("state", (5,)), ("obs", (2, 3)), ("avail_actions", (2, 4))):
      file[name] = np.ones((2, 4, *size), np.float32)
    file["actions"] = np.ones((2, 4, 2, 1), np.int64)
    for name in ("reward", "terminated", "filled"):
      file[name] = np.full((2, 4, 1), name == "filled")
  return path


def _omiga(path) -> pathlib.Path:
  state = np.random.default_rng(0).normal(size=(8, 11))
  vectors = np.concatenate([state[:, None].repeat(3, 1), [np.eye(3)] * 8], -1)
  vectors -= vectors.mean(-1, keepdims=True)
  with h5py.File(path, "w") as file:
    file["o"] = file["s"] = vectors / vectors.std(-1, keepdims=True)
    file["a"], file["r"] = np.zeros((8, 3, 1)), np.ones((8, 1))
    file["d"] = np.arange(8) % 4 == 3
  return path


def _omar(folder) -> pathlib.Path:
  folder.mkdir(parents=True)
  for name, shape in (("obs", (6, 2)), ("next_obs", (6, 2)), ("acs", (6, 2))):
    np.save(folder / f"{name}_0.npy", np.ones(shape))
  for name in ("rews", "dones"):
    np.save(folder / f"{name}_0.npy", np.zeros(6))
  return folder


def test_every_format_is_recognised(tmp_path):
  own = _own(tmp_path / "own")
  made = vault.write(store.read(own), tmp_path / "x.vlt" / "Good")
  paths = {
    own: (2, "toy/x"),
    made: (2, "toy/x"),
    _cfcql(tmp_path / "2s3z_expert.h5"): (2, "smac/2s3z"),
    _omiga(tmp_path / "Hopper-v2-3x1-expert.data"): (2, "mamujoco/hopper-3x1-full"),
    _omar(tmp_path / "omar"): (1, "omar/omar"),
  }
  for path, (num_episodes, name) in paths.items():
    stored = formats.read(str(path))
    assert stored.card["num_episodes"] == num_episodes
    assert stored.spec.name == name
    assert isinstance(stored.card["content_hash"], str)


def test_a_folder_above_will_do_if_there_is_no_choice(tmp_path):
  own = store.read(_own(tmp_path / "own"))
  vault.write(own, tmp_path / "up" / "og_marl" / "vaults" / "x.vlt" / "Good")
  assert formats.read(tmp_path / "up").card == own.card  # four folders above
  vault.write(own, tmp_path / "vaults" / "x.vlt" / "Good")
  for path in (tmp_path / "vaults", tmp_path / "vaults" / "x.vlt"):
    assert formats.read(path).card == own.card
  vault.write(own, tmp_path / "vaults" / "x.vlt" / "Poor")
  with pytest.raises(ValueError, match="x.vlt holds several .* name one: Good, Poor$"):
    formats.read(tmp_path / "vaults" / "x.vlt")
  for seed in range(12):
    _omar(tmp_path / "tag" / "medium" / f"seed_{seed:02}_data")
  with pytest.raises(ValueError, match="medium/seed_09_data and 2 more"):
    formats.read(tmp_path / "tag")


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("x.pkl", b"\x80\x04\x95", "is a pickle, .* refused; use CFCQL's HDF5 file or"),
    ("0", b"\x80\x02\x8a\nl\xfc\x9cF\xf9", "loading it would run whatever code"),
    ("x.txt", b"hello", "is no dataset; understood are our own folders"),
    ("x.txt", b"", "is no dataset; understood"),
    ("x.h5", b"hello", "is cut short or no HDF5"),
    ("x.h5", b"\x89HDF\r\n\x1a\n", "is cut short or no HDF5"),
    ("obs_0.npy", b"\x93NUMPY", "is a part of a dataset; name its folder"),
  ],
)
def test_files_that_are_none(tmp_path, name, content, message):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(ValueError, match=message):
    formats.read(tmp_path / name)


def test_archives(tmp_path):
  for entry, message in (
    ("archive/data.pkl", "is a pickle, as torch.save writes, like OMIGA's SMAC"),
    ("3m.vlt/Good/metadata.json", "is a zip archive; unpack it"),
  ):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
      archive.writestr(entry, "")
    with pytest.raises(ValueError, match=message):
      formats.read(tmp_path / "x")
  content = (tmp_path / "x").read_bytes()
  (tmp_path / "x").write_bytes(content.replace(b"PK\x01\x02", b"PK\x00\x00"))
  with pytest.raises(ValueError, match="x is a damaged zip archive: Bad magic"):
    formats.read(tmp_path / "x")
  np.savez(tmp_path / "x.npz", obs=np.zeros(2))
  with pytest.raises(ValueError, match="x.npz: action is missing; it has obs"):
    formats.read(tmp_path / "x.npz")


def test_folders_that_are_none(tmp_path):
  with pytest.raises(ValueError, match="holds no dataset; understood are our own"):
    formats.read(tmp_path)
  (tmp_path / "good").mkdir()
  (tmp_path / "README").write_text("episodes")
  (tmp_path / "good" / "0").write_bytes(b"\x80\x02\x8a")  # OMIGA's SMAC episodes
  with pytest.raises(ValueError, match="good/0 is a pickle"):
    formats.read(tmp_path)
  with pytest.raises(FileNotFoundError, match="no dataset file or folder .*nowhere"):
    formats.read(tmp_path / "nowhere")


def test_other_hdf5_files(tmp_path):
  with h5py.File(tmp_path / "x.h5", "w") as file:
    file["observations"] = np.zeros(3)
  with pytest.raises(ValueError, match="an HDF5 file with observations; understood"):
    formats.read(tmp_path / "x.h5")
  path = _cfcql(tmp_path / "y.h5")
  with h5py.File(path, "a") as file:
    del file["filled"]
  with pytest.raises(ValueError, match="y.h5: filled is missing; it has actions"):
    formats.read(path)


def test_options(tmp_path):
  stored = formats.read(_omar(tmp_path / "x"), time_limit=2)
  assert stored.card["length_max"] == 2
  message = "format omar, which has no option timeout_bootstrap; it has time_limit,"
  with pytest.raises(ValueError, match=message):
    formats.read(tmp_path / "x", timeout_bootstrap=False)
  with pytest.raises(ValueError, match="format own, .* it has none"):
    formats.read(_own(tmp_path / "own"), time_limit=3)
  with pytest.raises(ValueError, match="time_limit 9, but the vault is ours"):
    formats.read(_vault(tmp_path / "again"), time_limit=9)


@pytest.mark.parametrize(
  ("package", "make", "extra"),
  [
    ("h5py", lambda root: _cfcql(root / "x.h5"), "hdf5"),
    ("tensorstore", lambda root: _vault(root), "vault"),
  ],
)
def test_a_missing_package_names_its_extra(tmp_path, monkeypatch, package, make, extra):
  path = make(tmp_path)
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(ImportError, match=rf"needs {package}: .*'logo_jax\[{extra}\]'"):
    formats.read(path)


def _vault(root) -> pathlib.Path:
  return vault.write(store.read(_own(root / "own")), root / "v")


def test_names_and_paths(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ("x.h5", "a/2s3z.vlt", "/nowhere", "./x", "~/x", "x.pt"):
    assert formats.is_path(name), name
  assert not formats.is_path("smax/2s3z/medium")
  (tmp_path / "smax" / "2s3z" / "medium").mkdir(parents=True)
  assert formats.is_path("smax/2s3z/medium")


def _convert(*arguments) -> subprocess.CompletedProcess:
  command = [sys.executable, str(_ROOT / "experiments" / "convert.py"), *arguments]
  return subprocess.run(command, capture_output=True, text=True, cwd=_ROOT)


def test_the_binary_goes_there_and_back(tmp_path):
  own = _own(tmp_path / "data" / "toy" / "x" / "random")
  made = tmp_path / "x.vlt" / "random"
  there = _convert(
    "--dataset=toy/x/random", f"--data_dir={tmp_path / 'data'}", "--to=vault",
    f"--out={made}",
  )  # fmt: skip
  assert there.stdout.startswith(f"{made}: 4 transitions, 2 episodes of 2.0 steps")
  back = _convert(f"--dataset={made}", f"--out={tmp_path / 'back'}")
  assert back.returncode == 0, back.stderr
  for path in own.iterdir():
    assert path.read_bytes() == (tmp_path / "back" / path.name).read_bytes()


def test_the_binary_looks_at_the_output_before_it_reads(tmp_path):
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "notes").write_text("mine")
  for kind in ("own", "vault"):
    result = _convert(
      f"--dataset={tmp_path / 'nowhere'}", f"--out={tmp_path / 'out'}", f"--to={kind}"
    )
    assert result.stderr == (
      f"error: --out {tmp_path / 'out'} exists and is not empty; remove it first\n"
    )


def test_the_binary_says_what_is_wrong_in_one_line(tmp_path):
  result = _convert(f"--dataset={tmp_path}", f"--out={tmp_path / 'out'}")
  assert result.returncode == 1
  assert result.stderr.startswith(f"error: {tmp_path} holds no dataset")
  assert result.stderr.count("\n") == 1
