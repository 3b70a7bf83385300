"""Trains one composition on one dataset; relaunching with the same folder resumes.

Example:
  logo-jax train --config=logo_macql \
    --config.dataset=smax/2s3z/medium --config.learner.cql_weight=5 --run_dir=runs/a
"""

from absl import flags

from logo_jax import cli, experiment
from logo_jax.reporting import results as rows
from logo_jax.reporting import tables

_CONFIG = cli.define_config(
  "config", "logo", "A preset or a file of one; --config.field=value overrides a field."
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run.", required=True)


def main(argv: list[str]) -> None:
  del argv
  results = experiment.run(cli.experiment_config(_CONFIG.value), _RUN_DIR.value)
  if results is not None:
    print(tables.text_table([rows.dataset_row(results), rows.system_row(results)]))
    if "model" in results:
      print(tables.text_table(rows.model_rows(results)))
    print(f"results: {_RUN_DIR.value}/results.json")
