"""`logo-jax`: the list of commands, what is no command, and the way to one."""

import os
import pathlib
import subprocess
import sys

import pytest

from logo_jax import commands

_ROOT = pathlib.Path(__file__).parents[1]
_NAMES = [
  *(
    "clones",
    "collect",
    "convert",
    "evaluate",
    "export",
    "inspect_data",
    "model_error",
  ),
  *("quickstart", "reproduce", "sweep", "train", "train_behaviour", "watch"),
]


def _run(*arguments: str) -> subprocess.CompletedProcess:
  """As the script that pip makes does."""
  code = "import sys; sys.argv[0] = '/bin/logo-jax'; from logo_jax import commands; "
  command = [sys.executable, "-c", f"{code}commands.main()", *arguments]
  env = os.environ | {"PYTHONPATH": str(_ROOT)}
  return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_every_binary_is_a_command_with_the_same_first_line():
  binaries = sorted((_ROOT / "experiments").glob("*.py"))
  assert [file.stem for file in binaries] == commands.names() == _NAMES
  for line, file in zip(commands.described().splitlines(), binaries, strict=True):
    name, text = line.split(maxsplit=1)
    assert name == file.stem
    assert file.read_text().startswith(f'"""{text}\n')


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_alone_it_lists_the_commands(monkeypatch, capsys, arguments):
  monkeypatch.setattr(sys, "argv", ["/bin/logo-jax", *arguments])
  commands.main()
  out = capsys.readouterr().out
  assert out.startswith("Usage: logo-jax <command>")
  assert "\n  train            Trains one composition on one dataset" in out


@pytest.mark.parametrize(
  ("name", "said"),
  [
    ("trian", "error: no command 'trian'; did you mean train? All are clones, "),
    ("inspect-data", "did you mean inspect_data?"),
    ("xyz", "error: no command 'xyz'; all are clones, "),
    ("--run_dir=a", "error: no command '--run_dir=a'; "),
  ],
)
def test_what_is_no_command_is_an_error_with_the_nearest(
  monkeypatch, capsys, name, said
):
  monkeypatch.setattr(sys, "argv", ["logo-jax", name])
  with pytest.raises(SystemExit) as info:
    commands.main()
  assert info.value.code == 1
  error = capsys.readouterr().err
  assert said in error and error.count("\n") == 1


def test_help_of_a_command_tells_its_flags():
  done = _run("train", "--help")
  assert done.stdout.startswith("Trains one composition on one dataset")
  assert "\nlogo-jax train:\n" in done.stdout
  for flag in ("--run_dir", "--config", "--compilation_cache"):
    assert f"\n  {flag}: " in done.stdout


def test_a_command_runs_with_its_flags(tmp_path):
  # Fields of a configuration are taken from the command's own words.
  arguments = [
    "--config=bc",
    "--config.dataset=smax/9z/medium",
    f"--run_dir={tmp_path}",
  ]
  done = _run("train", *arguments)
  assert done.returncode == 1
  assert done.stderr.startswith("error: ") and "9z" in done.stderr
  assert done.stderr.count("\n") == 1
