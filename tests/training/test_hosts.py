"""Two processes of two devices each, on loopback, beside one of four."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import time
from unittest import mock

import jax
import numpy as np
import pytest

from logo_jax.configs import config_dicts
from logo_jax.configs.config import CheckpointConfig, DataConfig, EvaluationConfig
from logo_jax.configs.registry import component
from logo_jax.data import source, store
from logo_jax.evaluation import model_error
from logo_jax.reporting import run_outputs
from logo_jax.runs import experiment
from logo_jax.training import joining
from logo_jax.types import HostEnvironment
from tests import toys
from tests.training import systems

ROOT = pathlib.Path(__file__).parents[2]
SMALL = {
  "total_updates": 40,
  "collect_interval": 10,
  "batch_size": 16,
  "data_parallel": 4,
  "learner.hidden_size": 16,
  "evaluation.interval": 20,
  "evaluation.episodes": 4,
  "evaluation.final_episodes": 8,
  "checkpoint.interval": 10,
}


@pytest.fixture(scope="module")
def corridor(tmp_path_factory):
  """The corridor's data, in which nothing can be played."""
  played = toys.random_play(toys.corridor(), 100)
  folder = tmp_path_factory.mktemp("data") / "corridor"
  store.write(folder, played.rows, played.episode_start, played.card)
  return folder


def _values(preset, dataset, **changes):
  return {"dataset": str(dataset)} | SMALL | changes


def _alone(run_dir, preset, dataset, **changes):
  """The same run in this process, on its four devices."""
  values = config_dicts.of_preset(preset)
  values.update_from_flattened_dict(_values(preset, dataset, **changes))
  results = experiment.run(config_dicts.experiment_config(values), run_dir)
  assert results is not None
  return results


def _free_port():
  with socket.socket() as found:
    found.bind(("localhost", 0))
    return found.getsockname()[1]


def _start(run_dir, preset, dataset, devices=2, **changes):
  """Two processes that train together."""
  settings = _values(preset, dataset, **changes)
  flags = [f"--config.{key}={value}" for key, value in settings.items()]
  command = [str(ROOT / "experiments/train.py"), f"--config={preset}"]
  command += [*flags, f"--run_dir={run_dir}", "--num_processes=2"]
  command += [f"--coordinator=localhost:{_free_port()}"]
  return [_process([*command, f"--process_id={i}"], devices) for i in range(2)]


def _process(command, devices=2):
  xla = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
  return subprocess.Popen(
    [sys.executable, *command],
    env=os.environ | {"XLA_FLAGS": xla, "PYTHONPATH": str(ROOT)},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _run_two(code, before="", joined="'localhost:{port}', 2, me"):
  """Two processes that run `code` once they have met; `me` is which one it is."""
  text = f"""
import os, sys, time
import jax, numpy as np
from logo_jax.training import hosts, joining, parallel
me = int(sys.argv[1])
{before}
with joining.joined({joined.format(port=_free_port())}):
{textwrap.indent(code.strip(), "  ")}
"""
  return [_process(["-c", text, str(i)]) for i in range(2)]


def _ends(processes, timeout=300):
  """(exit status, standard output, standard error) of each."""
  try:
    found = [p.communicate(timeout=timeout) for p in processes]
  finally:
    for process in processes:
      process.kill()
  return [(p.returncode, *texts) for p, texts in zip(processes, found, strict=True)]


def _same_metrics(one, two):
  first, second = (run_outputs.read_metrics(path) for path in (one, two))
  assert len(first) == len(second) > 1
  for a, b in zip(first, second, strict=True):
    a, b = ({k: v for k, v in row.items() if not _is_time(k)} for row in (a, b))
    each, other = a.pop("by_seed", {}), b.pop("by_seed", {})
    assert (a.pop("phase"), a.keys()) == (b.pop("phase"), b.keys() | set())
    for x, y in ((a, b), (each, other)):
      for key in x:
        if not _is_time(key):
          np.testing.assert_allclose(x[key], y[key], rtol=1e-4, atol=1e-5, err_msg=key)


def _is_time(name):
  return name.startswith(("time", "seconds"))


def _without_times(results):
  return {
    k: v for k, v in results.items() if k not in ("updates_per_second", "seconds")
  }


def test_two_processes_train_what_one_does(corridor, tmp_path):
  processes = _start(tmp_path / "two", "bc", corridor)
  alone = _alone(tmp_path / "one", "bc", corridor)  # meanwhile
  for status, _, errors in _ends(processes):
    assert status == 0, errors
  together = run_outputs.read_results(tmp_path / "two")
  assert _without_times(together) == _without_times(alone)
  assert together["device"].endswith("x4")
  _same_metrics(tmp_path / "one", tmp_path / "two")


def train_everything(preset, dataset, run_dir, on_host):
  """A run whose game is the corridor, alone or in company."""
  learner = component("learner", "bc", hidden_size=16)
  if preset != "bc":
    learner = component(
      "learner", "mappo", hidden_size=16, clone_updates=20, value_updates=4
    )
  config = systems.small(
    preset,
    learner=learner,
    dataset=str(dataset),
    num_seeds=2,
    data_parallel=2,
    data=DataConfig("host"),
    evaluation=EvaluationConfig(interval=10, episodes=2, final_episodes=2),
    checkpoint=CheckpointConfig(interval=10),
  )
  env = _host_corridor() if on_host else toys.corridor()
  with (
    mock.patch.object(source, "environment", lambda *unused: (env, "")),
    mock.patch.object(model_error, "HORIZONS", (5,)),
  ):
    return experiment.run(config, run_dir)


def _host_corridor():
  """Outside JAX; in another process than the first there is more to earn."""
  env = toys.corridor()

  def reset(rng, num):
    del rng
    return jax.device_get(jax.vmap(env.reset)(jax.random.split(jax.random.key(0), num)))

  def step(state, action):
    moved = jax.vmap(env.step, (0, 0, None))(state, action, None)
    state, now = jax.device_get(moved)
    return state, now._replace(reward=now.reward + jax.process_index())

  return HostEnvironment(env.spec, reset, step)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "on_host"), [("bc", True), ("logo_flat", False)])
def test_all_phases_and_play(corridor, tmp_path, preset, on_host):
  """Rows come from disk; each process plays its seed, or all and the first counts."""
  processes = _run_two(f"""
from tests.training import test_hosts
test_hosts.train_everything("{preset}", "{corridor}", "{tmp_path / "two"}", {on_host})
""")
  for status, _, errors in _ends(processes, 550):
    assert status == 0, errors
  alone = train_everything(preset, corridor, tmp_path / "one", on_host)
  assert alone is not None
  together = run_outputs.read_results(tmp_path / "two")
  assert together.keys() == alone.keys() >= {"return_by_seed"}
  np.testing.assert_allclose(together["return_by_seed"], alone["return_by_seed"], 1e-5)
  _same_metrics(tmp_path / "one", tmp_path / "two")


def _wait_for_step(run_dir, processes, step):
  """Until the run has logged so many updates."""
  metrics, until = run_dir / "metrics.jsonl", time.monotonic() + 200
  while time.monotonic() < until and all(p.poll() is None for p in processes):
    if metrics.exists() and f'"step": {step}' in metrics.read_text():
      return
    time.sleep(0.2)
  raise AssertionError(_ends(processes, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
  ("victim", "devices", "changes"),
  [(0, 2, {"data_parallel": 4}), (1, 1, {"data_parallel": 1, "num_seeds": 4})],
)
def test_a_killed_process_ends_the_other(corridor, tmp_path, victim, devices, changes):
  """Within a minute, with one line; one process of four devices goes on from there."""
  run_dir, changes = tmp_path / "run", changes | {"total_updates": 200}
  processes = _start(run_dir, "bc", corridor, devices, **changes)
  _wait_for_step(run_dir, processes, 30)
  processes[victim].kill()
  start = time.monotonic()
  ends = _ends(processes, 60)
  assert time.monotonic() - start < 60
  status, _, errors = ends[1 - victim]
  assert status not in (0, None)
  said = [x for x in errors.splitlines() if x and not x.startswith(("train", "/"))]
  said = [x for x in said if not x.startswith("policies are not evaluated")]
  assert said == [f"error: {joining.LOST}"]
  resumed = _alone(run_dir, "bc", corridor, **changes)
  whole = _alone(tmp_path / "whole", "bc", corridor, **changes)
  assert _without_times(resumed) == _without_times(whole)
  _same_metrics(tmp_path / "whole", run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_who_does_not_talk_notices_too(victim):
  """JAX would end the process with a dump of its stack."""
  processes = _run_two(f"""
hosts.share("both are there")
if me == {victim}:
  os._exit(9)
time.sleep(100)
""")
  status, _, errors = _ends(processes, 60)[1 - victim]
  assert status != 0
  assert errors == f"error: {joining.LOST}\n"


@pytest.mark.slow
def test_variables_of_slurm_are_enough():
  variables = {
    "SLURM_JOB_ID": str(os.getpid()),  # decides the port
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NUM_TASKS": "2",
  }
  of_each = "os.environ['SLURM_PROCID'] = os.environ['SLURM_LOCALID'] = str(me)"
  before = f"os.environ.update({variables})\n{of_each}"
  processes = _run_two("print(hosts.share(f'task {me}'))", before, joined="")
  for status, output, errors in _ends(processes):
    assert status == 0, errors
    assert "['task 0', 'task 1']" in output.splitlines()


@pytest.mark.slow
def test_what_processes_tell_each_other():
  processes = _run_two("""
print("told:", *hosts.share("ab" * me), hosts.of_first(lambda: {"of": me}))
print("told:", *hosts.arrays_of_first(np.array([me, 1.5 + me, 3.0])))
try:
  hosts.check_same("settings", {"a": 1, "b": me})
except ValueError as error:
  print("told:", error)
try:
  with hosts.agreed():
    if me == 1:
      raise ValueError("no")
except ValueError as error:
  print("told:", type(error).__name__, error)
""")
  for index, (status, output, errors) in enumerate(_ends(processes)):
    assert status == 0, errors
    told = [x[6:] for x in output.splitlines() if x.startswith("told: ")]
    assert told == [
      " ab {'of': 0}",
      "0.0 1.5 3.0",
      "settings: b is 1 in process 1 but 0 in process 0",
      ("Elsewhere process 1: no", "ValueError no")[index],
    ]


@pytest.mark.slow
def test_gradients_of_two_processes_are_those_of_the_whole_batch():
  """Under plain SGD, which shows a wrong factor that Adam would hide."""
  processes = _run_two("""
import jax.numpy as jnp, optax
from jax.sharding import PartitionSpec as P
from logo_jax.training import optimizers
mesh = parallel.make_mesh(1, 4)
sgd = optax.chain(optimizers.average_over_devices("batch"), optax.sgd(1.0))
x = np.arange(24, dtype=np.float32).reshape(8, 3) / 10
y = np.arange(8, dtype=np.float32)
def update(w, x, y):
  grads = jax.grad(lambda w: jnp.mean((x @ w - y) ** 2))(w)
  return optax.apply_updates(w, sgd.update(grads, sgd.init(w))[0])
specs = dict(in_specs=(P(), P("batch"), P("batch")), out_specs=P(), check_vma=False)
mapped = jax.jit(jax.shard_map(update, mesh=mesh, **specs))
print("w", *parallel.fetch(mapped(jnp.zeros(3), x, y)))
""")
  x = np.arange(24).reshape(8, 3) / 10
  expected = 2 * x.T @ np.arange(8) / 8  # one step against the gradient at 0
  for status, output, errors in _ends(processes):
    assert status == 0, errors
    (found,) = [line for line in output.splitlines() if line.startswith("w ")]
    np.testing.assert_allclose([float(w) for w in found.split()[1:]], expected, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_a_signal_to_one_stops_both(corridor, tmp_path, asked):
  run_dir = tmp_path / "run"
  processes = _start(run_dir, "bc", corridor, total_updates=100_000)
  _wait_for_step(run_dir, processes, 20)
  processes[asked].send_signal(signal.SIGTERM)
  (first, _, errors), (second, _, _) = _ends(processes, 60)
  assert (first, second) == (0, 0)
  assert errors.splitlines()[-1] == f"stopped; the same command resumes {run_dir}"
  steps = [row["step"] for row in run_outputs.read_metrics(run_dir)]
  assert (run_dir / "checkpoints" / "train" / str(steps[-1])).is_dir()


@pytest.mark.slow
def test_what_one_process_refuses_both_refuse(corridor, tmp_path):
  run_dir = tmp_path / "run"
  for status, _, errors in _ends(_start(run_dir, "bc", corridor, batch_size=10_000)):
    assert status == 1
    assert "batch_size: 10000 is larger than the dataset" in errors.splitlines()[-1]
  assert not run_dir.exists()
  one = _start(run_dir, "bc", corridor, data_parallel=1)
  for status, _, errors in _ends(one):
    assert status == 1
    assert "num_seeds: 1 with data_parallel 1 leaves one of 2" in errors


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (("a:1", 2, None), "process_id: is missing"),
    ((None, 2, 0), "coordinator: is missing"),
    (("here", 2, 0), "coordinator: 'here' is not allowed; write host:port"),
    (("a:1", 2, 2), "process_id: 2 is not allowed; 0 to 1 are"),
    ((None, 0, None), "num_processes: 0 is not allowed"),
  ],
)
def test_flags_that_are_not_allowed(given, message):
  with pytest.raises(ValueError, match=message), joining.joined(*given):
    pass


def test_a_port_that_is_taken():
  with socket.create_server(("", 0)) as taken:
    address = f"localhost:{taken.getsockname()[1]}"
    with pytest.raises(ValueError, match="port .* cannot be opened here"):
      with joining.joined(address, 2, 0):
        pass
