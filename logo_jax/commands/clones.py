"""What cloning alone gives on every dataset: the least that a learner has to beat.

Makes the datasets that are missing, clones each (behaviour cloning, one seed), plays
the clone greedily and sampled, and writes one table: the data, how much of them is new,
the clones, and the expert, above whom hardly anybody plays. Finished datasets are not
done again.

Example: logo-jax clones --datasets=smax/2s3z/medium --run_dir=runs/clones
"""

import dataclasses
import pathlib
from typing import Any

from absl import flags

from logo_jax.checks import reading
from logo_jax.configs import config, presets
from logo_jax.data import collect, names
from logo_jax.io import files
from logo_jax.io.logging import say
from logo_jax.reporting import run_outputs, tables
from logo_jax.runs import experiment, playback

_DATASETS = flags.DEFINE_list(
  "datasets", ["all"], "<suite>/<scenario>/<quality>, several, or all."
)
_UPDATES = flags.DEFINE_integer("updates", 4_000, "Of each clone; a multiple of 500.")
_SEED = flags.DEFINE_integer("seed", 100, "Of training.", 0)
_EPISODES = flags.DEFINE_integer("episodes", 512, "Of each way to play.", 1)
_HOST_EPISODES = flags.DEFINE_integer("host_episodes", 64, "The same, of robots.", 1)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Root folder of datasets.")
_RUN_DIR = flags.DEFINE_string("run_dir", "runs/clones", "Where results go.")


def main(argv: list[str]) -> None:
  del argv
  every = _DATASETS.value == ["all"]
  datasets = collect.names() if every else _DATASETS.value
  for name in datasets:
    collect.split_name(name)  # what can be made can be played
  if not datasets:
    raise ValueError("datasets: names none; for example smax/2s3z/medium, or all")
  if _UPDATES.value < 500 or _UPDATES.value % 500:
    raise ValueError(f"updates: must be a multiple of 500, got {_UPDATES.value}")
  root, rows = pathlib.Path(_RUN_DIR.value), []
  for k, name in enumerate(datasets):
    say(f"{name} ({k + 1} of {len(datasets)})")
    folder = root / name.replace("/", "-")
    played = _clone(name, folder)
    if played is None:
      return  # asked to stop
    rows.append(_row(played))
    files.write_text(root / "table.md", tables.markdown_table(rows) + "\n")
  print(tables.text_table(rows))
  print(f"everything is in {root}/")


def _clone(name: str, folder: pathlib.Path) -> dict[str, Any] | None:
  """Trains and plays, or reads what was found; None if the process is to stop."""
  path, settings = folder / "clone.json", _config(name)
  outcome = experiment.run(settings, folder)  # refuses a folder of other data
  if outcome is None:
    return None
  asked = {"dataset": name, "updates": settings.total_updates, "seed": settings.seed}
  asked["episodes"] = settings.evaluation.final_episodes
  if path.exists():
    found = reading.json_file(path)
    for key, value in asked.items():
      if found.get(key) != value:
        raise ValueError(f"{path} is of {key} {found.get(key)}, asked for is {value}")
    return found
  sampled = playback.evaluate(folder, outcome["episodes"], greedy=False)
  card = run_outputs.read_dataset(folder)["card"]
  behaviour = card["behaviour"]
  kept = ("num_transitions", "num_episodes", "return_mean", "return_std", "win_rate")
  played = asked | {
    "content_hash": card["content_hash"],
    "data": {key: card.get(key) for key in (*kept, "saco", "identical_episodes")},
    "greedy": _figures(outcome),
    "sampled": _figures(sampled),
    "expert": {
      "return_mean": behaviour["expert_return"],
      "win_rate": behaviour["expert_win_rate"],
    },
  }
  files.write_json(path, played)
  return played


def _config(name: str) -> config.ExperimentConfig:
  plain, size = names.split_size(name)
  values = presets.get("bc")
  episodes = _HOST_EPISODES.value if name.startswith("mamujoco") else _EPISODES.value
  return dataclasses.replace(
    values,
    dataset=plain,
    num_transitions=size or values.num_transitions,
    data_dir=_DATA_DIR.value,
    seed=_SEED.value,
    total_updates=_UPDATES.value,
    evaluation=dataclasses.replace(
      values.evaluation,
      interval=_UPDATES.value,
      episodes=min(episodes, values.evaluation.episodes),
      final_episodes=episodes,
    ),
    checkpoint=config.CheckpointConfig(interval=_UPDATES.value, keep=1),
  )


def _figures(outcome: dict[str, Any]) -> dict[str, Any]:
  return {key: outcome.get(key) for key in ("return_mean", "return_ci95", "win_rate")}


def _row(played: dict[str, Any]) -> dict[str, Any]:
  data = played["data"]
  row = {
    "dataset": played["dataset"],
    "transitions": data["num_transitions"],
    "episodes": data["num_episodes"],
    "SACo": data["saco"],
    "return ± std": (data["return_mean"], data["return_std"]),
  }
  wins = played["greedy"].get("win_rate") is not None
  for who in ("data", "sampled", "greedy", "expert"):
    found = played[who]
    rate = found.get("win_rate") if wins else None
    row[f"{who} wins %"] = None if rate is None else 100 * rate
    if who != "data":
      row[f"{who} return"] = found.get("return_mean")
  return row
