"""Checkpoints: bit-exact round trips, what is kept, and what a kill leaves behind."""

import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.io import state_layout
from logo_jax.io.checkpoint import Checkpointer


class Inner(NamedTuple):
  params: Any
  target: Any


class State(NamedTuple):
  learner: Any
  opt_state: Any
  legal: Any
  key: Any
  nothing: Any
  step: Any


def make_state(scale: float = 1.0) -> State:
  params = {"net": {"w": scale * jnp.linspace(-1, 1, 12).reshape(3, 4)}, "none": {}}
  optimizer = optax.chain(optax.clip(1.0), optax.adam(1e-3))
  return State(
    learner=Inner(params, ()),
    opt_state=optimizer.init(params),
    legal=jnp.array([[True, False], [False, True]]),
    key=jax.random.split(jax.random.key(int(7 * scale)), 3),
    nothing=(),
    step=jnp.array(5, jnp.int32),
  )


def bits(leaf: jax.Array) -> bytes:
  if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    leaf = jax.random.key_data(leaf)
  return np.asarray(leaf).tobytes()


def assert_same(a: Any, b: Any) -> None:
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    assert bits(x) == bits(y)


def test_round_trip_is_bit_exact(tmp_path):
  state = make_state()._replace(
    step=jnp.array([np.nan, -0.0, np.inf, 1e-45], jnp.float32)
  )
  with Checkpointer(tmp_path) as checkpoints:
    assert checkpoints.latest_step() is None
    assert checkpoints.save(3, state)
  with Checkpointer(tmp_path) as checkpoints:
    assert checkpoints.latest_step() == 3
    assert_same(checkpoints.restore(jax.eval_shape(lambda: state)), state)
    assert_same(checkpoints.restore(state, 3), state)


def test_a_part_of_a_state_is_read_alone(tmp_path):
  state = make_state()
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(3, state)
  part = ("learner", "params")
  with Checkpointer(tmp_path, read_only=True) as checkpoints:
    shapes = jax.eval_shape(lambda: state.learner.params)
    assert_same(checkpoints.restore(shapes, part=part), state.learner.params)
    shapes["net"]["w"] = jax.ShapeDtypeStruct((4, 3), jnp.float32)
    with pytest.raises(ValueError, match=r"net/w: checkpoint .*3,4\], expected .*4,3"):
      checkpoints.restore(shapes, part=part)


def test_restored_keys_draw_the_same(tmp_path):
  state = make_state()
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(1, state)
    restored = checkpoints.restore(jax.eval_shape(make_state))
  draw = jax.vmap(lambda key: jax.random.normal(key, (4,)))
  np.testing.assert_array_equal(draw(restored.key), draw(state.key.copy()))


def test_other_leaves_become_arrays(tmp_path):
  target = {"a": jnp.zeros(2, jnp.int32), "b": jnp.float32(0), "c": jnp.bool_(False)}
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(1, {"a": np.arange(2), "b": 2.5, "c": True})
    restored = checkpoints.restore(target)
  assert_same(restored, {"a": jnp.arange(2), "b": jnp.float32(2.5), "c": jnp.bool_(1)})


@functools.partial(jax.jit, donate_argnums=0)
def increment(state):
  return jax.tree.map(lambda x: x + 1, state)


def test_state_may_be_donated_right_after_save(tmp_path):
  with Checkpointer(tmp_path, keep=3) as checkpoints:
    state = increment({"x": jnp.zeros((256, 1024)), "y": jnp.zeros(())})
    for step in (1, 2, 3):
      checkpoints.save(step, state)
      for _ in range(10):  # while the save goes on in the background
        state = jax.block_until_ready(increment(state))
    for step, value in ((1, 1.0), (2, 11.0), (3, 21.0)):
      for leaf in checkpoints.restore(state, step).values():
        np.testing.assert_array_equal(leaf, value)


def test_restored_state_may_be_donated(tmp_path):
  state = {"x": jnp.arange(256 * 1024.0).reshape(256, 1024), "y": jnp.zeros(())}
  expected = np.asarray(state["x"]) + 5
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(1, state)
    restored = checkpoints.restore(jax.eval_shape(lambda: state))
    pointers = {leaf.unsafe_buffer_pointer() for leaf in restored.values()}
    first = increment(restored)
    assert restored["x"].is_deleted()
    assert first["x"].unsafe_buffer_pointer() in pointers  # the buffer was reused
    for _ in range(4):
      first = increment(first)
    np.testing.assert_array_equal(first["x"], expected)
    # Nor did the donation reach what the loader may have kept.
    np.testing.assert_array_equal(checkpoints.restore(state)["x"], expected - 5)


def test_arrays_in_foreign_memory_are_copied():
  """The loader may hand out such arrays, though it need not."""
  memory = np.zeros(4096 + 64, np.uint8)
  start = -memory.ctypes.data % 64  # JAX takes over aligned memory without a copy
  foreign = memory[start : start + 4096].view(np.float32)
  with jax.default_device(jax.devices("cpu")[0]):
    shared = jax.device_put(foreign, may_alias=True)
  assert shared.unsafe_buffer_pointer() == foreign.ctypes.data
  (owned,) = state_layout.owned([shared])
  assert owned.unsafe_buffer_pointer() != foreign.ctypes.data
  increment(owned)
  np.testing.assert_array_equal(foreign, 0)


def test_restore_to_several_devices(tmp_path):
  mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
  sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d"))
  x = jnp.arange(8.0)
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(1, {"x": x})
    split = checkpoints.restore(
      {"x": jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)}
    )
    assert split["x"].sharding == sharding
    np.testing.assert_array_equal(split["x"], x)
    checkpoints.save(2, split)
    whole = checkpoints.restore({"x": x}, 2)
    assert whole["x"].sharding == x.sharding
    np.testing.assert_array_equal(whole["x"], x)


def test_keeps_the_last_and_the_best(tmp_path):
  state = {"x": jnp.zeros(2)}
  metrics = {1: 0.0, 2: 9.0, 3: 2.0, 4: None, 5: float("nan"), 6: np.float32(1.0)}
  with Checkpointer(tmp_path, keep=2) as checkpoints:
    for step, metric in metrics.items():
      checkpoints.save(step, {"x": state["x"] + step}, metric)
    checkpoints.wait()
    assert checkpoints.steps() == [2, 5, 6]
    assert (checkpoints.latest_step(), checkpoints.best_step()) == (6, 2)
  with Checkpointer(tmp_path, keep=2) as checkpoints:  # remembered by the files
    assert (checkpoints.latest_step(), checkpoints.best_step()) == (6, 2)
    checkpoints.save(7, state, 9.0)  # of equals the later
    checkpoints.wait()
    assert checkpoints.best_step() == 7
    assert checkpoints.steps() == [6, 7]


def test_without_metrics_there_is_no_best(tmp_path):
  with Checkpointer(tmp_path, keep=1) as checkpoints:
    for step in (1, 2):
      checkpoints.save(step, {"x": jnp.zeros(2)})
    checkpoints.wait()
    assert checkpoints.best_step() is None
    assert checkpoints.steps() == [2]


def test_a_stored_step_is_not_saved_again(tmp_path):
  with Checkpointer(tmp_path) as checkpoints:
    assert checkpoints.save(4, {"x": jnp.zeros(2)})
    assert not checkpoints.save(4, {"x": jnp.ones(2)})
    with pytest.raises(ValueError, match="step: 3 is not allowed; .* holds step 4"):
      checkpoints.save(3, {"x": jnp.zeros(2)})
    np.testing.assert_array_equal(checkpoints.restore({"x": jnp.ones(2)})["x"], 0)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda s: s._replace(legal=jnp.zeros((2, 3), bool)), r"legal: .*bool\[2,2\].*"),
    (lambda s: s._replace(step=jnp.zeros(())), r"step: .*int32\[\].*float32\[\]"),
    (lambda s: s._replace(nothing=jnp.zeros(1)), r"nothing: .* holds nothing, .*"),
    (lambda s: s._replace(key=jnp.zeros((3, 2), jnp.uint32)), r"key: .*key<fry>\[3\]"),
    (
      lambda s: s._replace(learner=Inner({"net": {}, "none": {}}, ())),
      r"learner/params/net/w: .*float32\[3,4\], expected nothing",
    ),
  ],
)
def test_mismatch_names_the_leaf(tmp_path, change, message):
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(1, make_state())
    with pytest.raises(ValueError, match=message) as error:
      checkpoints.restore(jax.eval_shape(lambda: change(make_state())))
  assert "\n" not in str(error.value)


def test_missing_steps_and_folders_are_named(tmp_path):
  with pytest.raises(ValueError, match="keep: 0"):
    Checkpointer(tmp_path, keep=0)
  with pytest.raises(ValueError, match="elsewhere does not exist"):
    Checkpointer(tmp_path / "elsewhere", read_only=True)
  assert not (tmp_path / "elsewhere").exists()
  with Checkpointer(tmp_path) as checkpoints:
    with pytest.raises(ValueError, match="the last step is not stored .*: none"):
      checkpoints.restore({"x": jnp.zeros(2)})
    checkpoints.save(1, {"x": jnp.zeros(2)})
    with pytest.raises(ValueError, match="step 2 is not stored .*; stored: 1"):
      checkpoints.restore({"x": jnp.zeros(2)}, 2)


def test_read_only_reads_beside_a_run(tmp_path):
  with Checkpointer(tmp_path) as checkpoints:
    checkpoints.save(1, {"x": jnp.ones(2)})
    checkpoints.wait()
    unfinished = tmp_path / "2.orbax-checkpoint-tmp"
    unfinished.mkdir()
    with Checkpointer(tmp_path, read_only=True) as reader:
      np.testing.assert_array_equal(reader.restore({"x": jnp.zeros(2)})["x"], 1)
    assert unfinished.exists()  # it belongs to the run


_SAVER = """
import sys
import jax.numpy as jnp
from logo_jax.io.checkpoint import Checkpointer
checkpoints = Checkpointer(sys.argv[1], keep=2)
for step in range(1, 10_000):
  checkpoints.save(step, {"x": jnp.full((1024, 1024), step, jnp.float32)}, -step)
  print(step, flush=True)
"""


@pytest.mark.parametrize("after", [3, 4])
def test_kill_during_a_save_leaves_the_earlier_ones(tmp_path, after):
  saver = subprocess.Popen(
    [sys.executable, "-c", _SAVER, str(tmp_path)],
    stdout=subprocess.PIPE,
    text=True,
    env=os.environ | {"JAX_PLATFORMS": "cpu"},
    cwd=pathlib.Path(__file__).parents[2],
  )
  assert saver.stdout is not None
  with saver.stdout:
    while int(saver.stdout.readline()) < after:
      pass
    saver.send_signal(signal.SIGKILL)  # the save of step `after` has just begun
    saver.wait()
  with Checkpointer(tmp_path, keep=2) as checkpoints:
    latest = checkpoints.latest_step()
    assert latest is not None and latest >= after - 1
    assert checkpoints.best_step() == 1
    for step in (1, latest):
      restored = checkpoints.restore({"x": jnp.zeros((1024, 1024))}, step)
      np.testing.assert_array_equal(restored["x"], step)
    checkpoints.save(latest + 1, restored, 0.0)
    checkpoints.wait()
    assert checkpoints.best_step() == latest + 1
  assert not list(tmp_path.glob("*tmp*"))


def test_kill_during_a_deletion_does_no_harm(tmp_path):
  with Checkpointer(tmp_path, keep=3) as checkpoints:
    for step, metric in ((1, 1.0), (2, 9.0), (3, 2.0)):
      checkpoints.save(step, {"x": jnp.full(3, step)}, metric)
  shutil.rmtree(tmp_path / "1" / "state")
  (tmp_path / "1" / "metrics" / "metrics").unlink()
  with Checkpointer(tmp_path, keep=1) as checkpoints:
    assert (checkpoints.latest_step(), checkpoints.best_step()) == (3, 2)
    np.testing.assert_array_equal(checkpoints.restore({"x": jnp.full(3, 0)})["x"], 3)
    checkpoints.save(4, {"x": jnp.full(3, 4)}, 0.0)
    checkpoints.wait()
    assert checkpoints.steps() == [2, 4]


def test_is_silent(tmp_path, capfd, caplog):
  with Checkpointer(tmp_path, keep=1) as checkpoints:
    for step in (1, 2, 3):
      checkpoints.save(step, {"x": jnp.zeros(2)})
    checkpoints.restore({"x": jnp.zeros(2)})
  out, err = capfd.readouterr()
  assert (out, err) == ("", "")
  assert not caplog.records
