"""What a game is: its shapes, and how it is played."""

from collections.abc import Callable
import dataclasses
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import Array, Bool, Float
import numpy as np

from logo_jax.layout import Layout


@dataclasses.dataclass(frozen=True)
class EnvSpec:
  """What a component must know of an environment; static and hashable.

  Agents with shorter observations are padded with zeros to `obs_dim`; a legal-action
  mask says which discrete actions are real. Continuous actions lie in [-1, 1].
  """

  name: str  # <suite>/<scenario>, for example "smax/2s3z"
  num_agents: int
  obs_dim: int
  state_dim: int
  action_kind: Literal["discrete", "continuous"]
  action_dim: int  # number of actions (discrete) or dimension (continuous)
  max_steps: int  # time limit of an episode, in steps
  obs_sizes: tuple[int, ...] = ()  # of each agent, before padding; () = all obs_dim
  layout: Layout | None = None  # how observations and states split into entities

  def stored(self) -> dict[str, Any]:
    """The fields that are stored with a dataset; the layout follows from the name."""
    fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    return {k: v for k, v in fields.items() if k != "layout"}

  @property
  def obs_mask(self) -> np.ndarray:
    """bool `[N, O]`: False where an observation is padding."""
    sizes = self.obs_sizes or (self.obs_dim,) * self.num_agents
    return np.arange(self.obs_dim) < np.array(sizes)[:, None]


class TimeStep(NamedTuple):
  """What an environment shows after `reset` or `step`.

  Without any batch axis in an `Environment`, with a leading one in a `HostEnvironment`.
  """

  obs: Float[Array, "N O"]
  state: Float[Array, " S"]
  legal: Bool[Array, "N A"]
  reward: Float[Array, ""]  # team reward of the step that led here; 0 after reset
  discount: Float[Array, ""]  # 0 at true termination, 1 otherwise
  last: Bool[Array, ""]  # the episode is over, by termination or time limit
  won: Bool[Array, ""]  # the episode ended in a win; always False where undefined


class Environment(NamedTuple):
  """A jittable environment: pure functions, no automatic reset.

  `step` returns the true final observation at the end of an episode; stepping on after
  `last` is allowed but meaningless, callers reset.
  """

  spec: EnvSpec
  reset: Callable[[jax.Array], tuple[Any, TimeStep]]
  step: Callable[
    [Any, jax.Array, jax.Array], tuple[Any, TimeStep]
  ]  # state, action, key


class HostEnvironment(NamedTuple):
  """An environment outside JAX: many copies at once, numpy arrays with axes `[B, ...]`.

  As with `Environment`, both functions leave their arguments alone and nothing is
  reset automatically: the state is a tree of arrays `[B, ...]`, from which callers
  pick. `step` uses no randomness.
  """

  spec: EnvSpec
  reset: Callable[[np.random.Generator, int], tuple[Any, TimeStep]]  # rng, B copies
  step: Callable[[Any, np.ndarray], tuple[Any, TimeStep]]  # state, actions
