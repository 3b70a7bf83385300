"""The one device map: seeds by `vmap`, devices by `shard_map`.

Two axes of a device mesh. `seeds`: independent runs, several on a device, without
communication. `batch`: devices that share the batch of each of their runs; gradients
are averaged over it (`training.optimizers`). Every state has a leading axis of seeds.

`jit(shard_map(...))` is what `jax.pmap` itself has become, and the form that Orbax and
several hosts work with. `check_vma=False`: with the default, gradients of replicated
parameters arrive already summed, and a `pmean` after that is silently too large.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, Sharding
from jax.sharding import PartitionSpec as P
import numpy as np

from logo_jax.data import stream
from logo_jax.data.stream import Feed
from logo_jax.replay.ring import Ring
from logo_jax.types import Dataset

SEEDS = "seeds"
BATCH = "batch"
_BY_DEVICE = P(SEEDS, BATCH)  # each device draws rows of its own


def make_mesh(num_seeds: int, data_parallel: int) -> Mesh:
  """A mesh over as many devices of all processes as can be used.

  Args:
    num_seeds: runs; spread over the largest number of devices that divides it.
    data_parallel: devices that share one run's batch.

  Returns:
    A mesh with axes ("seeds", "batch"), of equally many devices of each process.

  Raises:
    ValueError: fewer devices than `data_parallel`, or too few for some process to have
      one.
  """
  available, processes = jax.device_count(), jax.process_count()
  if data_parallel > available:
    raise ValueError(
      f"data_parallel: {data_parallel} devices asked for, {available} are there"
    )
  most = range(available // data_parallel, 0, -1)
  fitting = (n for n in most if num_seeds % n == n * data_parallel % processes == 0)
  groups = next(fitting, 0)
  if not groups:
    raise ValueError(
      f"num_seeds: {num_seeds} with data_parallel {data_parallel} leaves one of "
      f"{processes} processes without a device; allowed are values whose product is a "
      f"multiple of {processes}"
    )
  each = groups * data_parallel // processes
  by_process = [
    [d for d in jax.devices() if d.process_index == i] for i in range(processes)
  ]
  devices = [d for own in by_process for d in own[:each]]
  return jax.make_mesh(
    (groups, data_parallel),
    (SEEDS, BATCH),
    axis_types=(AxisType.Auto, AxisType.Auto),
    devices=devices,
  )


def batch_axis(mesh: Mesh) -> str | None:
  """The name that collectives use, None where a run has one device."""
  return BATCH if mesh.shape[BATCH] > 1 else None


def specs(state: Any) -> Any:
  """How a state of either phase lies on the mesh.

  Seeds over `seeds`; of each run all is replicated over `batch` but the ring's rows,
  of which each device keeps its own.
  """
  by_seed = jax.tree.map(lambda _: P(SEEDS), state)
  ring = getattr(state, "ring", None)
  if not isinstance(ring, Ring):
    return by_seed
  content = jax.tree.map(lambda _: P(SEEDS, BATCH), ring.content)
  return by_seed._replace(ring=by_seed.ring._replace(content=content))


def replicate(tree: Any, mesh: Mesh) -> Any:
  """Copies of host or device arrays on every device of the mesh."""
  return put(tree, NamedSharding(mesh, P()))


def put(tree: Any, layout: Sharding) -> Any:
  """Lays out arrays that every process has; none is asked for what it has."""
  if layout.is_fully_addressable:
    return jax.device_put(tree, layout)

  def one(x: Any) -> jax.Array:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      return jax.random.wrap_key_data(one(jax.random.key_data(x)))
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, layout, lambda index: x[index])

  return jax.tree.map(one, tree)


def fetch(tree: Any) -> Any:
  """Arrays on the host, whole in every process; all of them must call it."""
  leaves = [x for x in jax.tree.leaves(tree) if isinstance(x, jax.Array)]
  apart = [x for x in leaves if not (x.is_fully_addressable or x.is_fully_replicated)]
  if apart:
    layout = apart[0].sharding
    assert isinstance(layout, NamedSharding)  # all that lies on a mesh
    tree = jax.jit(_same, out_shardings=NamedSharding(layout.mesh, P()))(tree)
  return jax.device_get(tree)


def _same(tree: Any) -> Any:
  return tree


def by_seed(shapes: Any, mesh: Mesh) -> Any:
  """Shapes with an axis of seeds, told how a state's lie on the mesh."""
  layout = NamedSharding(mesh, P(SEEDS))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=layout), shapes
  )


def place(data: Dataset, mesh: Mesh) -> Dataset:
  """`replicate`, but rows on the host stay there."""
  if not stream.on_host(data):
    return replicate(data, mesh)
  return replicate(data._replace(rows=()), mesh)._replace(rows=data.rows)


def place_feed(feed: Feed, mesh: Mesh) -> Feed:
  """Puts a gathered feed on the mesh, as `map_chunk` takes it."""
  draws = put(feed.draws, NamedSharding(mesh, _BY_DEVICE))
  return Feed(replicate(feed.rows, mesh), draws)


def map_init(fn: Callable[..., Any], mesh: Mesh, *mapped: Any, shared: Any) -> Any:
  """Runs `fn(*mapped, shared)` once for every seed; `mapped` have a seeds axis.

  Returns:
    The states, laid out on the mesh as `specs` says.
  """
  over_seeds = jax.vmap(fn, (*(0 for _ in mapped), None))
  in_specs = (*jax.tree.map(lambda _: P(SEEDS), mapped), P())
  one_device = jax.make_mesh(
    (1, 1), (SEEDS, BATCH), (AxisType.Auto,) * 2, devices=jax.local_devices()[:1]
  )
  shapes = jax.eval_shape(
    _shard(over_seeds, one_device, in_specs, P(SEEDS)), *mapped, shared
  )
  return jax.jit(_shard(over_seeds, mesh, in_specs, specs(shapes)))(*mapped, shared)


def map_chunk(
  fn: Callable[..., Any], mesh: Mesh, state: Any, streamed: bool = False
) -> Callable[..., Any]:
  """Compiles `(state, data) -> (state, metrics)` for all seeds; the state is donated.

  Args:
    fn: of one run.
    mesh: from `make_mesh`.
    state: a state with a seeds axis, for its structure.
    streamed: the data are not a whole dataset but feeds, from `place_feed`.

  Returns:
    The compiled function; its metrics have a leading axis of seeds.
  """
  layout = specs(state)
  axes, spec = None, P()
  if streamed:
    axes, spec = Feed._make((None, 0)), Feed._make((P(), _BY_DEVICE))
  over_seeds = jax.vmap(fn, (0, axes))
  mapped = _shard(over_seeds, mesh, (layout, spec), (layout, P(SEEDS)))
  return jax.jit(mapped, donate_argnums=0)


def map_draw(fn: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
  """Compiles `(keys, step, data) -> draws` for all seeds and devices, on each."""
  over_seeds = jax.vmap(fn, (0, None, None))
  mapped = _shard(over_seeds, mesh, (P(SEEDS), P(), P()), _BY_DEVICE)
  return jax.jit(mapped, out_shardings=NamedSharding(mesh, P()))


def map_eval(fn: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
  """Compiles `(params, shared) -> results` for all seeds."""
  mapped = _shard(jax.vmap(fn, (0, None)), mesh, (P(SEEDS), P()), P(SEEDS))
  return jax.jit(mapped)


def _shard(fn: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any):
  return jax.shard_map(
    fn, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
  )
