"""The pages' snippet runs as it stands, and commands are ones that binaries take."""

import contextlib
import importlib.util
import pathlib
import re
import shlex
import sys

from absl import flags
import jax
import numpy as np
import pytest

import logo_jax
from logo_jax import cli, commands
from logo_jax.configs import config_dicts, entries, reference
from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import source, store
from logo_jax.runs import model_study

README = pathlib.Path(__file__).parents[1] / "README.md"
DOCS = README.parent / "docs"
CHANGES = README.with_name("CHANGELOG.md")
PAGES = (
  README,
  README.with_name("CONTRIBUTING.md"),
  CHANGES,
  *sorted(DOCS.rglob("*.md")),
)
# Commands that name parts which the page itself brings are run (test_docs).
NOT_RUN = [page for page in PAGES if page.parent.name != "extending"]


def test_snippet_of_the_pure_functions():
  (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
  names: dict = {}
  # As strictly as anybody may have it.
  with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
    exec(snippet, names)  # our own text
  assert np.isfinite(names["loss"])
  assert names["u"].shape == (256,)
  assert names["index"].shape == (32,)
  assert snippet in (DOCS / "functions.md").read_text()


def test_the_changes_are_those_of_the_version():
  assert logo_jax.__version__ in CHANGES.read_text()


def test_the_page_of_configuration_is_made_of_the_code():
  assert (DOCS / "configuration.md").read_text() == reference.page(), (
    "python -m logo_jax.configs.reference docs/configuration.md"
  )


def test_every_field_says_what_it_is():
  rows = [x for x in reference.page().splitlines() if x.startswith("| `")]
  assert len(rows) > 100
  assert [x for x in rows if x.endswith("|  |")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_links_that_a_page_names_exist(page: pathlib.Path):
  text = page.read_text()
  for name in re.findall(r"(?:experiments|benchmarks)/[\w/]+\.(?:py|md)", text):
    assert (README.parent / name).exists(), name
  for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
    assert (page.parent / link).exists(), link


def _commands() -> list[list[str]]:
  """The words of each command in the pages' blocks that runs a binary of ours."""
  found = []
  for page in NOT_RUN:
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
      for line in block.replace("\\\n", "").splitlines():
        for part in line.split(" && "):
          words = shlex.split(part, comments=True)
          if words[:1] == ["python"]:
            found.append(words[1:])
  return found


@contextlib.contextmanager
def _parsed(monkeypatch, argv: list[str]):
  """A binary's module, its flags parsed as its own process would; undone at the end."""
  monkeypatch.chdir(README.parent)
  monkeypatch.setattr(sys, "argv", argv)  # where ml_collections looks for overrides
  before = set(flags.FLAGS)
  for name in [n for n in sys.modules if n.startswith(f"{commands.__name__}.")]:
    monkeypatch.delitem(sys.modules, name)  # its flags are gone, or another's are there
  try:
    spec = importlib.util.spec_from_file_location("binary_of_a_page", argv[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    monkeypatch.syspath_prepend(pathlib.Path(argv[0]).parent)
    spec.loader.exec_module(module)
    rest = flags.FLAGS(argv)
    assert rest == argv[:1], f"{rest[1:]} are no flags"
    yield module
  finally:
    flags.FLAGS.unparse_flags()
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_commands_are_taken(monkeypatch, words):
  with _parsed(monkeypatch, words) as module:
    assert callable(module.main)
    values = flags.FLAGS.flag_values_dict()
    named = [values.get("dataset"), *(values.get("datasets") or [])]
    if "config" in values:
      config = config_dicts.experiment_config(values["config"])
      assert isinstance(config, ExperimentConfig)
      named.append(config.dataset)
    for name in named:
      if name not in (None, "all") and not name.startswith("path/"):
        assert source.spec(name) is not None


@pytest.mark.parametrize(
  ("words", "error"),
  [
    (["experiments/evaluate.py", "--run_dir=x", "--episode=3"], "episode"),
    (["experiments/train.py", "--run_dir=x", "--config.horizons=3"], "horizons"),
    (["benchmarks/load_data.py", "--repeats=none"], "none"),
  ],
)
def test_other_commands_are_not(monkeypatch, capsys, words, error):
  # A configuration's field is told as a binary tells all bad input: a line, status 1.
  with pytest.raises((flags.Error, SystemExit)) as info, _parsed(monkeypatch, words):
    pass
  assert error in f"{info.value}\n{capsys.readouterr().err}"


def test_the_benchmark_of_loading_reads_what_it_writes(monkeypatch, tmp_path):
  words = ["benchmarks/load_data.py", "--gigabytes=0.01", "--repeats=3"]
  with _parsed(monkeypatch, words) as module:
    stored = store.read(module._write(tmp_path))
    assert stored.card["num_transitions"] == 10_000
    assert module._open(str(tmp_path / "random"), "host")["seconds"] > 0


def test_commands_name_systems_and_models_that_exist():
  text = "\n".join(page.read_text() for page in NOT_RUN).replace("\\\n", "")
  found = re.findall(r"--(models|systems)=([^\s`]+)", text)
  assert found
  for flag, value in found:
    parse = model_study.models if flag == "models" else entries.systems
    assert len(parse(value.split(","))) == value.count(",") + 1
  for value in re.findall(r"--config=([^\s`]+)", text):
    cli.ConfigParser().parse(value)
