"""What stands where in the tables of a layout."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.codecs.tokens import Pointer, Structure
from logo_jax.layout import Table
from logo_jax.ops.standardise import Moments


@dataclasses.dataclass(frozen=True)
class Fields:
  """Static arrays of the tables of one kind of vector; N only of observations."""

  table: Table
  places: np.ndarray  # [(N,) E, columns]
  moments: Moments  # [F], or [N, F] where agents have their own
  varies: np.ndarray  # [(N,) F]

  @property
  def by_agent(self) -> bool:
    return self.places.ndim == 3

  @property
  def feature_axes(self) -> tuple[int, ...]:
    """Last axes of vectors: features, and agents where there are some; or of tokens."""
    return (-2, -1) if self.by_agent else (-1,)

  def _of_kind(self, kind: str) -> np.ndarray:
    kinds = [column.kind for column in self.table.columns]
    return np.flatnonzero(np.array(kinds) == kind)

  @functools.cached_property
  def continuous(self) -> np.ndarray:
    return self._of_kind("continuous")

  @functools.cached_property
  def binary(self) -> np.ndarray:
    return self._of_kind("binary")

  @functools.cached_property
  def categorical(self) -> list[int]:
    return self._of_kind("categorical").tolist()

  @functools.cached_property
  def values(self) -> list[np.ndarray]:
    """Values [E, V] of each categorical column, NaN where an entity knows fewer."""
    entities = self.places.shape[-2]
    return [self.table.columns[c].padded_values(entities) for c in self.categorical]

  @property
  def token_size(self) -> int:
    num_values = sum(v.shape[1] for v in self.values)
    return len(self.continuous) + len(self.binary) + num_values

  @property
  def output_size(self) -> int:
    return self.token_size + 3 * len(self.continuous) + bool(self.table.presence)

  def _per_place(self, x: np.ndarray, fill: float) -> np.ndarray:
    """A statistic [(N,) F] at the places of the table, `fill` where there is none."""
    own = np.broadcast_to(x, (*self.places.shape[:-2], x.shape[-1]))
    flat = np.maximum(self.places, 0).reshape(*own.shape[:-1], -1)
    own = np.take_along_axis(own, flat, -1).reshape(self.places.shape)
    return np.where(self.places >= 0, own, fill)

  @functools.cached_property
  def scale(self) -> np.ndarray:
    return self._per_place(np.asarray(self.moments.scale), 1.0)

  @functools.cached_property
  def counted(self) -> np.ndarray:
    """Float [(N,) E, columns], 1 where a feature is there and varies."""
    return self._per_place(self.varies, False).astype(np.float32)

  @functools.cached_property
  def box(self) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half width of continuous columns, of all entities or of each."""
    low = self._per_place(np.asarray(self.moments.low), np.inf)[..., self.continuous]
    high = self._per_place(np.asarray(self.moments.high), -np.inf)[..., self.continuous]
    axes = tuple(range(low.ndim - 1))
    columns = [self.table.columns[c] for c in self.continuous]
    shared = np.array([column.shared for column in columns], bool) | np.isinf(low)
    low = np.where(shared, low.min(axes, initial=np.inf), low)
    high = np.where(shared, high.max(axes, initial=-np.inf), high)
    return (low + high) / 2, np.maximum((high - low) / 2, 1e-6)

  @functools.cached_property
  def inverse(self) -> np.ndarray:
    """Where in the table each feature stands, past its end for padding; [(N,) F]."""
    flat = self.places.reshape(*self.places.shape[:-2], -1)
    out = np.full((*flat.shape[:-1], self.moments.scale.shape[-1]), flat.shape[-1])
    for at in np.ndindex(flat.shape[:-1]):
      there = np.flatnonzero(flat[at] >= 0)
      out[(*at, flat[at][there])] = there
    return out

  @functools.cached_property
  def constants(self) -> np.ndarray:
    """Values [(N,) E, columns] of the features that are constant while there.

    One that varies in the data is 0 when its entity is away, so it is the other end of
    its range; one that does not is its mean.
    """
    m = self.moments
    ends = np.asarray(m.low) + np.asarray(m.high)
    return self._per_place(np.where(m.varies, ends, np.asarray(m.mean)), 0.0)

  @property
  def structure(self) -> Structure:
    constants = self.constants[..., self._of_kind("constant")]
    largest = np.abs(constants).max(tuple(range(constants.ndim - 1)), initial=1e-6)
    names = [self.table.columns[c].axis for c in self.continuous]
    positions = [i for i, axis in enumerate(names) if axis is not None]
    first = len(self.continuous) + len(self.binary)
    output = self.output_size - (self.token_size - first)
    pointers = []
    for column, values in zip(self.categorical, self.values, strict=True):
      if self.table.columns[column].points:
        points = self.table.columns[column].padded_points(self.places.shape[-2])
        pointers.append(Pointer(first, output, points))
      first, output = first + values.shape[1], output + values.shape[1]
    return Structure(
      self.has_values, constants / largest, np.array(positions, int), tuple(pointers)
    )

  @functools.cached_property
  def has_values(self) -> np.ndarray:
    """Float [(N,) E, D], 1 where an entity has the feature of a value."""
    has = (self.places >= 0).astype(np.float32)
    parts = [has[..., self.continuous], has[..., self.binary]]
    for column, values in zip(self.categorical, self.values, strict=True):
      parts.append(np.repeat(has[..., [column]], values.shape[1], -1))
    return np.concatenate(parts, -1)

  def split_values(self, values: jax.Array) -> list[jax.Array]:
    """Continuous, binary, and one array for each categorical column."""
    sizes = [len(self.continuous), len(self.binary), *(v.shape[1] for v in self.values)]
    return jnp.split(values, np.cumsum(sizes)[:-1].tolist(), -1)

  @functools.cached_property
  def ratio(self) -> np.ndarray:
    """Units of continuous tokens in units of the features' scale."""
    return self.box[1] / self.scale[..., self.continuous]
