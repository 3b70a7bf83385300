"""From the steps that others recorded to rows: what every reader shares.

Source steps are numbered from 0, whatever axes a file spreads them over. A reader says
which of them make up an episode, `plan` lays the rows out, `gather` fetches a field
block by block, and `finish` checks the whole and fills the card.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from logo_jax import types
from logo_jax.data import store

Fetch = Callable[[int, int], np.ndarray]  # (lo, hi) -> the source steps [lo, hi)
_BLOCK = 16_384  # rows gathered at once; keeps what is held twice small


class Plan(NamedTuple):
  """Which source step becomes which row."""

  take: np.ndarray  # int64 [R], source steps, never falling
  episode_start: np.ndarray  # int64 [E + 1]
  terminal: np.ndarray  # bool [E], the episode ended by itself, not by a time limit

  @property
  def final(self) -> np.ndarray:
    """The rows of the final observations, int64 [E]."""
    return self.episode_start[1:] - 1

  @property
  def is_step(self) -> np.ndarray:
    """bool [R]: the rows that are not final."""
    return ~np.isin(np.arange(len(self.take)), self.final)


@dataclasses.dataclass(frozen=True)
class About:
  """What a reader knows of a dataset beside its numbers."""

  name: str  # <source>/<scenario>/<quality>, as far as the file's name tells
  scenario: str | None  # our environment that plays it; None where there is none
  spec_name: str
  max_steps: int  # time limit of an episode, in steps
  source: dict[str, Any]  # format, name of the file and the options it was read with
  where: str  # what to call the dataset in an error
  obs_sizes: tuple[int, ...] = ()  # where padding with zeros is known of
  # What reading did -> how much; see `settle`.
  altered: Mapping[str, float] = dataclasses.field(default_factory=dict)
  action_bounds: dict[str, list[float]] | None = None  # see `settle.Settled`


class Fields(NamedTuple):
  """Gathered fields, numpy arrays."""

  obs: np.ndarray  # float32 [R, N, O]
  state: np.ndarray | None  # float32 [R, S]; None puts observations side by side
  legal: np.ndarray | None  # bool [R, N, A]; None allows everything (continuous)
  action: np.ndarray  # int32 [R, N] or float32 [R, N, A]
  reward: np.ndarray  # float32 [R]


def plan(
  first: np.ndarray,
  stop: np.ndarray,
  append: np.ndarray,
  terminal: np.ndarray,
  where: str,
) -> Plan:
  """Lays out the rows of episodes.

  Args:
    first: int `[E]`, the source step with which each episode begins.
    stop: int `[E]`, the step after its last recorded one.
    append: bool `[E]`; True repeats the last recorded step as the final row, False
      takes the last recorded step itself for the final row.
    terminal: bool `[E]`, the episode ended by itself.
    where: what to call the dataset in an error.

  Returns:
    The plan; episodes without any transition are left out.

  Raises:
    ValueError: no episode has a transition.
  """
  lengths = stop - first + append
  keep = lengths >= 2
  if not keep.any():
    raise ValueError(f"{where}: no episode has a transition")
  first, stop, lengths = first[keep], stop[keep], lengths[keep]
  start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
  within = np.arange(start[-1]) - np.repeat(start[:-1], lengths)
  take = np.minimum(np.repeat(first, lengths) + within, np.repeat(stop - 1, lengths))
  return Plan(take.astype(np.int64), start, terminal[keep])


def gather(
  fetch: Fetch,
  plan: Plan,
  convert: Callable[[np.ndarray], np.ndarray] = lambda x: x,
) -> np.ndarray:
  """Fetches one field's rows, a block at a time.

  Args:
    fetch: gives source steps.
    plan: which steps are wanted.
    convert: of the wanted steps, to the type and the shape of the field.
  """
  out = None
  for begin in range(0, len(plan.take), _BLOCK):
    take = plan.take[begin : begin + _BLOCK]
    block = fetch(int(take[0]), int(take[-1]) + 1)
    block = convert(block[take - take[0]])  # what is left out may be anything
    if out is None:
      out = np.empty((len(plan.take), *block.shape[1:]), block.dtype)
    out[begin : begin + _BLOCK] = block
  assert out is not None  # a plan has rows
  return out


def finish(fields: Fields, plan: Plan, about: About) -> store.StoredDataset:
  """Makes a checked dataset of gathered fields; may change them in place.

  On final rows, where nobody acts, action and reward become 0, and an agent without a
  legal action may do everything. On other rows an agent without one, beside others that
  have some, is out of the game: what is recorded of it is legal.

  Args:
    fields: everything but the discount.
    plan: the plan that the fields were gathered with.
    about: what else is known.

  Returns:
    The dataset, in memory.

  Raises:
    ValueError: the data break a rule of the format; names the field and the row.
  """
  obs, state, legal, action, reward = fields
  state_made = state is None
  if state is None:
    state = obs.reshape(len(obs), -1)
  if legal is None:
    legal = np.ones_like(action, bool)
  legal[plan.final] |= ~legal[plan.final].any(-1, keepdims=True)
  if action.ndim == 2:
    _settle_legal(legal, action, plan, about.where)
  action[plan.final] = 0
  reward[plan.final] = 0
  discount = np.ones(len(reward), np.float32)
  discount[plan.final[plan.terminal] - 1] = 0
  spec = types.EnvSpec(
    name=about.spec_name,
    num_agents=obs.shape[1],
    obs_dim=obs.shape[2],
    state_dim=state.shape[1],
    action_kind="discrete" if action.ndim == 2 else "continuous",
    action_dim=legal.shape[-1],
    max_steps=about.max_steps,
    obs_sizes=about.obs_sizes,
  )
  card = {
    "name": about.name,
    "scenario": about.scenario,
    "spec": spec.stored() | {"obs_sizes": list(spec.obs_sizes)},
    "source": about.source,
    "altered": dict(about.altered),
  }
  if state_made:
    card["state_made"] = True
  if about.action_bounds is not None:
    card["action_bounds"] = about.action_bounds
  columns = (obs, state, legal, action, reward, discount, plan.episode_start)
  return checked(dict(zip(store.FIELDS, columns, strict=True)), card, about.where)


def checked(
  arrays: dict[str, Any], card: dict[str, Any], where: str
) -> store.StoredDataset:
  """A dataset in memory with its card completed.

  Args:
    arrays: numpy arrays by the names in `store.FIELDS`.
    card: what is known; must have `spec`.
    where: what to call the dataset in an error.

  Raises:
    ValueError: the data break a rule of the format; names the field and the row.
  """
  arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
  card = store.complete_card(arrays, card, where)
  rows = types.Rows(*(arrays[name] for name in types.STORED))
  return store.StoredDataset(rows, arrays["episode_start"], card)


def per_agent(reward: np.ndarray) -> np.ndarray:
  """One reward per agent, float32 `[K, N]`, whatever singleton axes come with it."""
  return single(reward.reshape(len(reward), -1))


def single(x: np.ndarray) -> np.ndarray:
  """As float32; what is too large for it becomes infinite, which no rule lets pass."""
  with np.errstate(over="ignore"):
    return x.astype(np.float32)


def whole(action: np.ndarray, where: str) -> np.ndarray:
  """Discrete actions as int32, whatever type they came in.

  Raises:
    ValueError: some action is no whole number, or too large for one.
  """
  with np.errstate(invalid="ignore"):
    cast = action.astype(np.int32)
  if not np.array_equal(cast, action):
    bad = action[cast != action].flat[0]
    raise ValueError(f"{where}: action {bad} is not the number of an action")
  return cast


def check_shape(array: Any, shape: tuple[int | str, ...], where: str) -> None:
  """Checks one field of a file before it is read.

  Args:
    array: anything with a shape and a dtype.
    shape: what it must be; a name stands for any size but 0.
    where: what to call the field in an error.

  Raises:
    ValueError: it is of another shape, or holds no numbers.
  """
  if np.dtype(array.dtype).kind not in "biuf":
    raise ValueError(f"{where} is of type {array.dtype}, must be numbers")
  fits = len(array.shape) == len(shape) and all(
    size > 0 if isinstance(wanted, str) else size == wanted
    for size, wanted in zip(array.shape, shape, strict=True)
  )
  if not fits:
    text = ", ".join(str(size) for size in shape)
    raise ValueError(f"{where} has shape {list(array.shape)}, must be [{text}]")


def flat(x: np.ndarray, ndim: int) -> np.ndarray:
  """Folds the trailing axes of `x` into the last of `ndim`; adds one if it lacks."""
  return x.reshape(*x.shape[: ndim - 1], -1)


def strip_padding(x: np.ndarray) -> tuple[int, ...]:
  """Sets -inf, with which some files pad, to 0, in place.

  Args:
    x: float32 `[R, N, O]`.

  Returns:
    How many entries of each agent are not padding, `[N]`; empty where nothing is
    padded, or not the same last entries throughout.
  """
  count = np.zeros(x.shape[1:], np.int64)
  for begin in range(0, len(x), _BLOCK):
    block = x[begin : begin + _BLOCK]
    padded = np.isneginf(block)
    if padded.any():
      count += padded.sum(0)
      block[padded] = 0.0
  sizes = (count == 0).sum(-1)
  prefix = np.arange(x.shape[2]) < sizes[:, None]
  if not count.any() or not np.array_equal(count, np.where(prefix, 0, len(x))):
    return ()
  return tuple(int(size) for size in sizes)


def _settle_legal(
  legal: np.ndarray, action: np.ndarray, plan: Plan, where: str
) -> None:
  """Allows, in place, agents that are out of the game what is recorded of them.

  An action that is no number of one is left to the rules that all data must keep.

  Raises:
    ValueError: an agent that is in the game did what was not legal.
  """
  most = legal.shape[-1] - 1
  index = np.clip(action, 0, most)[..., None]
  some = legal.any(-1)
  out = ~some & some.any(-1, keepdims=True) & (action == index[..., 0])
  rows, agents = np.nonzero(out)
  legal[rows, agents, action[rows, agents]] = True
  wrong = ~np.take_along_axis(legal, index, -1)[..., 0] & some
  wrong &= action == index[..., 0]
  wrong[plan.final] = False
  if wrong.any():
    row, agent = np.argwhere(wrong)[0]
    raise ValueError(
      f"{where}: action {action[row, agent]} of agent {agent} is not legal in source "
      f"step {plan.take[row]}, row {row}"
    )
