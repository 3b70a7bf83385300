"""OG-MARL's vaults: <scenario>.vlt/<quality>/, as flashbax writes and reads them.

Arrays `[B, T, ...]` hold episodes one after the other: observations, actions, rewards,
terminals, truncations per agent, infos.legals, infos.state. A step has no next
observation, so an episode's last one leads nowhere that the vault knows:

- ended truly, its discount is 0 and nothing depends on the final observation; the last
  recorded step is repeated as the final row;
- cut by a limit, or by the end of the vault, its last transition cannot be used; the
  last recorded step becomes the final row, and one transition is lost.

We write the same layout, without extra steps, which other code would take for play.
What it has no room for, the final rows and the card, lies beside it, in `final/` and
under "logo_jax" in metadata.json, where only we look: the round trip is exact.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

import numpy as np

from logo_jax.checks import reading
from logo_jax.data import store
from logo_jax.data.formats import episodes, settle, tensors, vault_fields
from logo_jax.io import files

_MARK = "logo_jax"
_FINAL = ("obs", "state", "legal")  # kept of final rows; the rest is 0 there, or 1
_BLOCK = 65_536  # steps written at once


def read(
  folder: str | os.PathLike,
  time_limit: int | None = None,
  action_range: str = "refuse",
  team_reward: str = "refuse",
) -> store.StoredDataset:
  """Reads one quality of a vault.

  Args:
    folder: <scenario>.vlt/<quality>, which holds metadata.json.
    time_limit: takes episodes of just so many steps for cut by the limit, whatever the
      vault says. Some vaults, those of SMAC among them, store time limits as terminals;
      a game that truly ended in its very last step is then cut as well. None believes
      the vault. A vault of ours tells limits apart, so there it is refused.
    action_range: what to do to actions beyond [-1, 1]; see `settle.Options`.
    team_reward: what to do to rewards that differ between agents.

  Returns:
    The dataset; the one that `write` was given if the vault is ours.

  Raises:
    ImportError: tensorstore is not installed.
    ValueError: the vault is damaged, of another layout, or breaks a rule of ours.
  """
  options = settle.Options(action_range, team_reward)
  options.check(str(folder))
  vault = tensors.open_vault(pathlib.Path(folder))
  ended, terminal = tensors.flags(vault)
  last = np.flatnonzero(ended.reshape(-1))
  first = np.concatenate([[0], last[:-1] + 1])
  lengths, terminal = last - first + 1, terminal.reshape(-1)[last]
  if _MARK in vault.metadata:
    if time_limit is not None:
      raise ValueError(
        f"{folder}: time_limit {time_limit}, but the vault is ours, which tells limits "
        "from true ends; leave the option out"
      )
    return _read_own(vault, first, last, terminal)
  cut = settle.cut_at(lengths, terminal, time_limit, str(folder))
  terminal &= ~cut
  layout = episodes.plan(first, last + 1, terminal, terminal, str(folder))
  found = vault_fields.gathered(vault, layout, options)
  dropped = lengths.sum() - layout.is_step.sum()
  counts = settle.counted(steps_dropped=dropped, episodes_cut=cut.sum())
  about = _about(vault.folder, time_limit, int(time_limit or lengths.max()), found)
  about = dataclasses.replace(about, altered=found.altered | counts)
  return episodes.finish(found.fields, layout, about)


def write(stored: store.StoredDataset, folder: str | os.PathLike) -> pathlib.Path:
  """Writes a dataset as a vault that flashbax opens, all of it or nothing.

  Args:
    stored: the dataset.
    folder: where, for example vaults/smax/2s3z.vlt/medium; must not exist, or be empty.

  Returns:
    The folder.

  Raises:
    ImportError: tensorstore is not installed.
    ValueError: the folder exists, the data break a rule of ours, or a discount is
      neither 0 nor 1, which terminals cannot tell.
  """
  folder = pathlib.Path(folder)
  if not store.is_free(folder):
    raise ValueError(f"{folder} exists; remove it first")
  arrays = stored.rows.stored() | {"episode_start": stored.episode_start}
  stored = episodes.checked(arrays, stored.card, "dataset")
  final = stored.episode_start[1:] - 1
  steps = np.delete(np.arange(len(stored.rows.reward)), final)
  ends = final - np.arange(len(final)) - 1  # among steps, each episode's last
  store.terminal(stored, "a vault")
  with files.making(folder) as partial, tensors.errors_of_the_system():
    _write_steps(stored, steps, ends, partial)
    (partial / "final").mkdir()
    for name in _FINAL:
      array = np.asarray(arrays[name])[final]
      np.save(partial / "final" / f"{name}.npy", array, allow_pickle=False)
  return folder


def _about(
  folder: pathlib.Path,
  time_limit: int | None,
  max_steps: int,
  found: vault_fields.Gathered,
) -> episodes.About:
  quality, parent = folder.absolute().name, folder.absolute().parent
  scenario = parent.name.removesuffix(".vlt")
  return episodes.About(
    name=f"og_marl/{scenario}/{quality}",
    scenario=None,
    spec_name=f"og_marl/{scenario}",
    max_steps=max_steps,
    source={
      "format": "vault",
      "path": f"{parent.name}/{quality}",
      "time_limit": time_limit,
    },
    where=str(folder),
    obs_sizes=found.obs_sizes,
    action_bounds=found.action_bounds,
  )


def _read_own(
  vault: tensors.Vault, first: np.ndarray, last: np.ndarray, terminal: np.ndarray
) -> store.StoredDataset:
  """What `write` wrote, the final rows and the card included."""
  where, card = str(vault.folder), vault.metadata[_MARK]
  if not isinstance(card, dict):
    raise ValueError(f"{where}: {_MARK} in {tensors.METADATA} must be a dataset's card")
  store.check_card(card, f"{where}: {_MARK} in {tensors.METADATA}")
  every = np.ones(len(first), bool)
  layout = episodes.plan(first, last + 1, every, terminal, where)
  for name in tensors.OPTIONAL:
    if name not in vault.arrays:
      raise ValueError(f"{where}: {name} is missing, of a vault of ours")
  get = {name: tensors.fetcher(vault, name) for name in vault.arrays}
  arrays = {
    "obs": episodes.gather(get["observations"], layout),
    "state": episodes.gather(get["infos.state"], layout),
    "legal": episodes.gather(get["infos.legals"], layout, lambda x: x != 0),
    "action": episodes.gather(get["actions"], layout),
    "reward": episodes.gather(get["rewards"], layout, lambda x: x[:, 0]),
    "discount": np.ones(len(layout.take), np.float32),
    "episode_start": layout.episode_start,
  }
  arrays["discount"][layout.final[terminal] - 1] = 0
  for name in ("action", "reward"):
    arrays[name][layout.final] = 0
  for name in _FINAL:
    path = vault.folder / "final" / f"{name}.npy"
    wanted, final = arrays[name], reading.npy(path)
    if (final.dtype, final.shape) != (
      wanted.dtype,
      (len(layout.final), *wanted.shape[1:]),
    ):
      raise ValueError(
        f"{path} is {final.dtype} {list(final.shape)}, must be {wanted.dtype} "
        f"{[len(layout.final), *wanted.shape[1:]]}"
      )
    wanted[layout.final] = final
  stored = episodes.checked(arrays, card, where)
  if not store.is_said(card, stored.card):
    raise ValueError(f"{where} is corrupt: its data are not those that its card tells")
  return stored


def _write_steps(
  stored: store.StoredDataset, steps: np.ndarray, ends: np.ndarray, folder: pathlib.Path
) -> None:
  """Writes metadata.json and the arrays of all rows but the final ones."""
  rows, total = stored.rows, len(steps)
  n = rows.obs.shape[1]
  over = np.zeros((2, total), np.float32)
  terminal = np.asarray(rows.discount)[steps[ends]] == 0
  over[np.where(terminal, 0, 1), ends] = 1

  def per_agent(x: Any) -> np.ndarray:
    return np.repeat(np.asarray(x, np.float32)[:, None], n, 1)

  get = {
    "observations": lambda at: rows.obs[steps[at]],
    "actions": lambda at: rows.action[steps[at]],
    "rewards": lambda at: per_agent(rows.reward[steps[at]]),
    "terminals": lambda at: per_agent(over[0, at]),
    "truncations": lambda at: per_agent(over[1, at]),
    "infos.state": lambda at: rows.state[steps[at]],
    "infos.legals": lambda at: rows.legal[steps[at]].astype(np.float32),
  }
  shapes: dict[str, Any] = {"infos": {}}
  dtypes: dict[str, Any] = {"infos": {}}
  for name, block in get.items():
    example = block(slice(0, 1))
    tail = example.shape[1:]
    array = tensors.create_array(
      folder, f"{name}.", (1, tensors.TIME_AXIS, *tail), example.dtype
    )
    for begin in range(0, total, _BLOCK):
      at = slice(begin, min(begin + _BLOCK, total))
      array[0, at].write(block(at)).result()
    parent, _, key = name.rpartition(".")
    (shapes[parent] if parent else shapes)[key] = str((1, total, *tail))
    (dtypes[parent] if parent else dtypes)[key] = example.dtype.name
  tensors.create_array(folder, "vault_index", (1,), np.int32).write([total]).result()
  metadata = {"version": 1.2, "structure_shape": shapes, "structure_dtype": dtypes}
  text = json.dumps(metadata | {_MARK: stored.card}, indent=1, allow_nan=False)
  (folder / tensors.METADATA).write_text(text)
