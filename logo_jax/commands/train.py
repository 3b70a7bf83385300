"""Trains one composition on one dataset; relaunching with the same folder resumes.

Example:
  logo-jax train --config=logo_macql \
    --config.dataset=smax/2s3z/medium --config.learner.cql_weight=5 --run_dir=runs/a
"""

import contextlib

from absl import flags

from logo_jax import cli
from logo_jax.configs import config_dicts
from logo_jax.reporting import results as rows
from logo_jax.reporting import tables
from logo_jax.runs import experiment
from logo_jax.training import hosts, joining

_CONFIG = cli.define_config(
  "config", "logo", "A preset or a file of one; --config.field=value overrides a field."
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run.", required=True)

_COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "host:port of process 0, where several train one run."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many those are.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")


def within() -> contextlib.AbstractContextManager[None]:
  """Among the processes that train one run, if there are several."""
  return joining.joined(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)


def main(argv: list[str]) -> None:
  del argv
  config = config_dicts.experiment_config(_CONFIG.value)
  results = experiment.run(config, _RUN_DIR.value)
  if results is not None and hosts.is_first():
    print(tables.text_table([rows.dataset_row(results), rows.system_row(results)]))
    if "model" in results:
      print(tables.text_table(rows.model_rows(results)))
    print(f"results: {_RUN_DIR.value}/results.json")
