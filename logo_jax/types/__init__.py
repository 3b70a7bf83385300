"""Types shared by every part of the library.

Axes, in this order: batch `*b`, time `T`, agents `N`, then features: observation `O`,
state `S`, actions `A` (their number when discrete, their dimension when continuous),
views `M` of the same prediction, groups `G` of predicted features. Every container is a
`NamedTuple`, hence a pytree.
"""

from logo_jax.types.components import (
  Actor as Actor,
)
from logo_jax.types.components import (
  Beliefs as Beliefs,
)
from logo_jax.types.components import (
  Critic as Critic,
)
from logo_jax.types.components import (
  Learner as Learner,
)
from logo_jax.types.components import (
  LearnerContext as LearnerContext,
)
from logo_jax.types.components import (
  LearnerState as LearnerState,
)
from logo_jax.types.components import (
  Metrics as Metrics,
)
from logo_jax.types.components import (
  Observed as Observed,
)
from logo_jax.types.components import (
  Params as Params,
)
from logo_jax.types.components import (
  Planner as Planner,
)
from logo_jax.types.components import (
  Prediction as Prediction,
)
from logo_jax.types.components import (
  Prelude as Prelude,
)
from logo_jax.types.components import (
  Uncertainty as Uncertainty,
)
from logo_jax.types.components import (
  Weighting as Weighting,
)
from logo_jax.types.components import (
  WorldModel as WorldModel,
)
from logo_jax.types.data import (
  STORED as STORED,
)
from logo_jax.types.data import (
  Action as Action,
)
from logo_jax.types.data import (
  Batch as Batch,
)
from logo_jax.types.data import (
  Dataset as Dataset,
)
from logo_jax.types.data import (
  Rollouts as Rollouts,
)
from logo_jax.types.data import (
  Rows as Rows,
)
from logo_jax.types.data import (
  Statistics as Statistics,
)
from logo_jax.types.data import (
  Transition as Transition,
)
from logo_jax.types.environment import (
  Environment as Environment,
)
from logo_jax.types.environment import (
  EnvSpec as EnvSpec,
)
from logo_jax.types.environment import (
  HostEnvironment as HostEnvironment,
)
from logo_jax.types.environment import (
  TimeStep as TimeStep,
)
