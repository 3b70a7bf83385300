"""What the arrays of a vault mean, task by task.

Discrete actions may be floats; padding is -inf; states may come once per agent.
"""

from typing import NamedTuple

import numpy as np

from logo_jax.data.formats import episodes, settle, tensors


class Gathered(NamedTuple):
  """What `gathered` finds."""

  fields: episodes.Fields
  obs_sizes: tuple[int, ...]  # of the agents' observations, where those differ
  altered: dict[str, float]  # see `settle.Settled`
  action_bounds: dict[str, list[float]] | None


def gathered(
  vault: tensors.Vault, layout: episodes.Plan, options: settle.Options
) -> Gathered:
  """All fields, singleton axes and all that singular tasks do taken care of.

  Raises:
    ValueError: the vault is damaged, a field is none that we understand, or does not
      fit and is not to be altered.
  """
  where, bounds = str(vault.folder), None
  fields = _fields(vault, layout)
  reward = settle.rewards(fields.reward, layout.is_step, options.team_reward, where)
  fields, altered = fields._replace(reward=reward.array), reward.altered
  if fields.action.ndim == 3:
    action = settle.actions(fields.action, layout.is_step, options.action_range, where)
    fields, bounds = fields._replace(action=action.array), action.bounds
    altered |= action.altered
  return Gathered(*_unpadded(fields, where), altered, bounds)


def _fields(vault: tensors.Vault, layout: episodes.Plan) -> episodes.Fields:
  """The fields, still padded; of rewards one for each agent."""
  n = vault.arrays["observations"].shape[2]

  def get(name: str, convert) -> np.ndarray:
    return episodes.gather(tensors.fetcher(vault, name), layout, convert)

  action, legal = get("actions", lambda x: x), None
  if "infos.legals" in vault.arrays:
    legal = get("infos.legals", lambda x: episodes.flat(x, 3) != 0)
  where = f"{vault.folder}: actions"
  if _is_discrete(action, legal, where):
    action = episodes.flat(action, 2)
    episodes.check_shape(action, (len(action), n), where)
    action = episodes.whole(action, where)
    if legal is None:
      legal = np.ones((*action.shape, int(action.max()) + 1), bool)
  else:
    action, legal = episodes.flat(action, 3), None  # continuous tasks have a dummy
    action = episodes.single(np.where(np.isneginf(action), 0, action))
  state = None
  if "infos.state" in vault.arrays:
    state = _one_state(get("infos.state", episodes.single), n)
  return episodes.Fields(
    obs=get("observations", lambda x: episodes.single(episodes.flat(x, 3))),
    state=state,
    legal=legal,
    action=action,
    reward=get("rewards", episodes.per_agent),
  )


def _is_discrete(action: np.ndarray, legal: np.ndarray | None, where: str) -> bool:
  """Whether actions are numbers of actions; some vaults store those as floats.

  Args:
    action: `[R, N]` or `[R, N, A]`, as stored.
    legal: bool `[R, N, L]`, which may be a dummy; None where there is none.
    where: what to call the actions in an error.

  Raises:
    ValueError: floats that could be either.
  """
  if action.dtype.kind in "biu" or action.ndim == 2:
    return True
  if action.ndim > 3 or action.shape[2] > 1:
    return False
  whole = bool((action == np.round(action)).all() and np.isfinite(action).all())
  wider = legal is not None and legal.shape[-1] > 1
  if wider and whole:
    return True
  if legal is not None and wider and legal.any() and not legal.all():
    raise ValueError(
      f"{where} are no whole numbers, but infos.legals allows some of "
      f"{legal.shape[-1]} actions: neither discrete nor continuous"
    )
  if whole and action.max() > 1:
    raise ValueError(
      f"{where} are whole numbers up to {action.max():g}, but infos.legals has no entry"
      " for each: neither discrete nor continuous, within -1 and 1"
    )
  return False


def _unpadded(
  fields: episodes.Fields, where: str
) -> tuple[episodes.Fields, tuple[int, ...]]:
  """Padding of -inf set to 0, and what pads all agents cut off.

  Returns:
    The fields, and the sizes of the agents' observations if they differ.

  Raises:
    ValueError: observations are nothing but padding.
  """
  obs, sizes = fields.obs, episodes.strip_padding(fields.obs)
  if fields.state is not None:
    episodes.strip_padding(fields.state[:, None])
  if sizes and not max(sizes):
    raise ValueError(f"{where}: observations are nothing but padding, -inf")
  if sizes:
    obs = obs[..., : max(sizes)]
  return fields._replace(obs=obs), sizes if len(set(sizes)) > 1 else ()


def _one_state(state: np.ndarray, n: int) -> np.ndarray:
  """States as `[R, S]`: once where every agent has the same copy, `[R, N, S]`."""
  copies = state.ndim > 2 and state.shape[1] == n
  if copies and np.array_equal(state, np.broadcast_to(state[:, :1], state.shape)):
    state = state[:, 0].copy()
  return episodes.flat(state, 2)
