"""The form of a training state: paths, types and shapes of its leaves."""

from typing import Any

import jax
import jax.numpy as jnp


def as_jax(leaf: Any) -> jax.Array:
  """A leaf as an array of JAX."""
  return leaf if isinstance(leaf, jax.Array) else jnp.array(leaf)


def abstract(leaf: Any) -> jax.ShapeDtypeStruct:
  """Shape, dtype and sharding of a leaf; the default device where it has none."""
  shape, of = jnp.shape(leaf), dtype(leaf)
  sharding = getattr(leaf, "sharding", None)
  if sharding is None:
    sharding = jnp.zeros(()).sharding
  return jax.ShapeDtypeStruct(shape, of, sharding=sharding)


def dtype(leaf: Any) -> Any:
  """The type that JAX stores a leaf in."""
  if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
    return leaf.dtype
  return jnp.result_type(leaf)  # as JAX would store it: int32 for a numpy int64


def layout(tree: Any) -> dict[str, str]:
  """Path to dtype and shape of each leaf, for example `key` to `key<fry>[4]`."""
  leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
  return {
    jax.tree_util.keystr(path, simple=True, separator="/") or "(root)": (
      f"{dtype(leaf)}[{','.join(map(str, jnp.shape(leaf)))}]"
    )
    for path, leaf in leaves
  }


def check_layout(stored: dict[str, str], wanted: dict[str, str], where: str) -> None:
  """Refuses a stored state that is not of the wanted form.

  Raises:
    ValueError: names the first leaf that differs, and both forms.
  """
  for path in wanted | stored:
    have, want = stored.get(path, "nothing"), wanted.get(path, "nothing")
    if have != want:
      raise ValueError(f"{path}: checkpoint {where} holds {have}, expected {want}")


def owned(state: Any) -> Any:
  """Copies each array on its device, one after the other.

  The loader's arrays may share the host memory that it read into; an array in such
  memory must not be donated.
  """
  leaves, structure = jax.tree.flatten(state)
  del state
  for i, leaf in enumerate(leaves):
    leaves[i] = leaf.copy()
    del leaf
  return jax.tree.unflatten(structure, leaves)
