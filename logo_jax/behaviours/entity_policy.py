"""A behaviour policy that reads units instead of a flat vector.

What is worth attacking depends on what a unit is like, not on its place in a vector:
all units of a side share an embedding, and the logit of an attack is read off its
target's. Where battles are hard such networks learn what perceptrons do not (Hao et
al., "Boosting multiagent reinforcement learning via permutation invariant and
permutation equivariant networks", ICLR 2023).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.behaviours import layers as nets
from logo_jax.layout import Layout
from logo_jax.types import EnvSpec

_EMBEDDING = 32  # units of a token
_TARGET = 32  # units behind the logit of an attack
_MATES_ON_ONE = 3.0  # the count of mates that attack a unit is divided by this
_SAME_VALUE = 0.02  # categorical features that differ by less are the same


class EntityParams(NamedTuple):
  """Perceptrons that all agents share."""

  mates: nets.Layers  # of the agents' other units: features, own features -> token
  others: nets.Layers  # of the rest: features, attackers, own features -> token
  body: nets.Layers  # own features, pooled tokens, agent identity -> hidden
  plain: nets.Layers  # hidden -> logits of actions that point at nothing
  target: nets.Layers  # token, hidden -> logit of the action that points at it


class _Places(NamedTuple):
  """Where in an observation things are; static, from the layout."""

  own: np.ndarray  # [N, C1]
  mates: np.ndarray  # [N, M, C2]
  others: np.ndarray  # [N, E, C3]
  aim: np.ndarray  # [N, M], of a mate's last target
  aims: np.ndarray  # [N, M, V], values of that
  aimed: np.ndarray  # [N, M, V, E], which of the others a value points at
  order: np.ndarray  # [A], of the plain logits, then those of targets, as actions are


def check(spec: EnvSpec) -> None:
  """Refuses environments whose units or actions cannot be read so.

  Raises:
    ValueError: naming what is missing.
  """
  if spec.action_kind != "discrete":
    raise ValueError(f"entities: needs discrete actions; {spec.name} has others")
  if spec.layout is None or not any(max(x) >= 0 for x in spec.layout.action_points):
    raise ValueError(f"entities: needs a layout with targets; {spec.name} has none")
  agents = {units[0] for units in spec.layout.agents}
  rest = [x for x in range(spec.layout.num_entities) if x not in agents]
  plans = set(spec.layout.action_points)
  targets = sorted(unit for unit in spec.layout.action_points[0] if unit >= 0)
  if len(plans) > 1 or targets != rest or spec.num_agents < 2:
    raise ValueError(
      "entities: needs two agents or more, and for each unit that is none one action, "
      f"the same for all agents; {spec.name} has others"
    )


def init(spec: EnvSpec, hidden: tuple[int, ...], key: jax.Array) -> EntityParams:
  """A policy close to uniform over legal actions.

  Args:
    spec: of an environment that `check` lets pass.
    hidden: units of the body's layers.
    key: random key.
  """
  at = _places(_layout(spec))
  own, mate, other = (x.shape[-1] for x in (at.own, at.mates, at.others))
  num_plain = spec.action_dim - at.others.shape[1]
  k_mates, k_others, k_body, k_plain, k_target = jax.random.split(key, 5)
  pooled = own + 2 * _EMBEDDING + spec.num_agents
  return EntityParams(
    mates=nets.init((mate + own, _EMBEDDING), 2.0**0.5, k_mates),
    others=nets.init((other + 1 + own, _EMBEDDING), 2.0**0.5, k_others),
    body=nets.init((pooled, *hidden), 2.0**0.5, k_body),
    plain=nets.init((hidden[-1], num_plain), 0.01, k_plain),
    target=nets.init((_EMBEDDING + hidden[-1], _TARGET, 1), 0.01, k_target),
  )


def outputs(params: EntityParams, obs: jax.Array, spec: EnvSpec) -> jax.Array:
  """Logits `[*b, N, A]` of observations `[*b, N, O]`."""
  at = _places(_layout(spec))
  own, mates, others = (_read(obs, x) for x in (at.own, at.mates, at.others))
  hit = jnp.abs(_read(obs, at.aim)[..., None] - at.aims) < _SAME_VALUE
  attackers = jnp.einsum("...nmv,nmve->...ne", hit.astype(obs.dtype), at.aimed)
  attackers = attackers[..., None] / _MATES_ON_ONE
  mates = _embed(params.mates, mates, own)
  others = _embed(params.others, jnp.concatenate([others, attackers], -1), own)
  ids = jnp.broadcast_to(jnp.eye(obs.shape[-2]), (*obs.shape[:-1], obs.shape[-2]))
  pooled = jnp.concatenate([own, mates.mean(-2), others.mean(-2), ids], -1)
  hidden = jnp.tanh(nets.apply(params.body, pooled))
  (first, *rest) = params.target
  aimed = nets.apply(rest, jnp.tanh(_join([first], others, hidden)))[..., 0]
  return jnp.concatenate([nets.apply(params.plain, hidden), aimed], -1)[..., at.order]


def _embed(layers: nets.Layers, units: jax.Array, own: jax.Array) -> jax.Array:
  """Tokens; those of units that are not seen, whose features are all 0, are 0."""
  seen = (units != 0).any(-1, keepdims=True)
  return jnp.tanh(_join(layers, units, own)) * seen


def _join(layers: nets.Layers, units: jax.Array, shared: jax.Array) -> jax.Array:
  """A layer on units `[*b, U, F]` and what they share `[*b, G]`, computed once."""
  ((weight, bias),) = layers
  num = units.shape[-1]
  return units @ weight[:num] + (shared @ weight[num:] + bias)[..., None, :]


def _read(obs: jax.Array, places: np.ndarray) -> jax.Array:
  """Features `[*b, *places]`, 0 where there are none."""
  agents = [
    jnp.where(x >= 0, obs[..., n, np.maximum(x, 0)], 0.0) for n, x in enumerate(places)
  ]
  return jnp.stack(agents, -places.ndim)


def _layout(spec: EnvSpec) -> Layout:
  check(spec)
  assert spec.layout is not None
  return spec.layout


@functools.cache
def _places(layout: Layout) -> _Places:
  agents = [unit[0] for unit in layout.agents]
  rest = [x for x in range(layout.num_entities) if x not in agents]
  mates = [[x for x in agents if x != unit] for unit in agents]
  tables = np.stack([table.places for table in layout.obs])  # [N, units, columns]
  table = layout.obs[0]
  pointing = [k for k, column in enumerate(table.columns) if column.points]
  rows = np.arange(len(agents))[:, None]
  of_mates = tables[rows, mates]
  values, aimed = (
    np.zeros((*np.shape(mates), 0)),
    np.zeros((*np.shape(mates), 0, len(rest))),
  )
  aim = np.full(np.shape(mates), -1)
  if pointing:
    column = table.columns[pointing[0]]
    aim = of_mates[..., pointing[0]]
    values = column.padded_values(layout.num_entities)[np.array(mates)]
    points = column.padded_points(layout.num_entities)[np.array(mates)]
    aimed = points[..., None] == np.array(rest)
  actions = layout.action_points[0]
  plain = [a for a, unit in enumerate(actions) if unit < 0]
  order = [
    plain.index(a) if unit < 0 else len(plain) + rest.index(unit)
    for a, unit in enumerate(actions)
  ]
  return _Places(
    own=_used(tables[rows, np.array(agents)[:, None]])[:, 0],
    mates=_used(of_mates),
    others=_used(tables[:, rest]),
    aim=aim,
    aims=np.nan_to_num(values, nan=np.inf),
    aimed=aimed.astype(np.float32),
    order=np.array(order),
  )


def _used(places: np.ndarray) -> np.ndarray:
  """Without the columns that none of them has."""
  return places[..., (places >= 0).any((0, 1))]
