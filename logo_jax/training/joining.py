"""How a process joins the others of its run (`training.hosts`), and leaves them.

A process that ends by an error does not wait for the others, which notice it alone:
at once where they are in the middle of talking, else within half a minute.
"""

import atexit
from collections.abc import Iterator
import contextlib
import logging as std_logging
import os
import re
import socket
import subprocess
import sys
import time
from typing import NoReturn

import jax

from logo_jax.io import logging

LOST = (
  "another process of this run has ended or cannot be reached; the same commands, all "
  "of them, resume the run"
)
_HEARTBEAT = 30  # seconds without a sign of life after which a process counts as dead
_JOIN = 300  # seconds to wait for the others at the start
_LINGER = 2.0  # seconds that the first process, which the others need, stays on
_BROKEN = ("Gloo", "NCCL", "UNAVAILABLE", "CANCELLED", "coordination")

# JAX ends a process whose peer is gone by a dump of its stack, and cannot be told not
# to. This passes on what is written to the standard error, with one line in the place
# of that: the first argument, or after a line of a null byte the second.
_SIEVE = r"""
import re, sys
dump = re.compile(rb"[EF]\d{4} .*(coordination_service|client\.h)")
out, told = sys.stderr.buffer, False
unmet, lost = (f"error: {text}\n".encode() for text in sys.argv[1:])
ours = unmet
for line in sys.stdin.buffer:
  if line == b"\0\n":
    ours = lost
    continue
  line = ours if dump.match(line) else line
  if not told:
    out.write(line)
    out.flush()
  told = told or line == ours
"""


@contextlib.contextmanager
def joined(
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> Iterator[None]:
  """Makes the process one of several that train together, if it is to be that.

  That is the case where the arguments say so, or where `srun` has started several
  tasks; otherwise nothing happens. To be entered before JAX has begun to compute.

  Args:
    coordinator: host:port of the first process, which opens the port.
    num_processes: how many there are; 1 is a process alone, under `srun` as well.
    process_id: which one of them this is, from 0.

  Raises:
    ValueError: an argument is missing or not allowed, or the others do not come.
  """
  given = (coordinator, num_processes, process_id)
  _check(*given)
  by_slurm = given == (None,) * 3 and int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1
  if num_processes == 1 or not (by_slurm or coordinator):
    yield
    return
  _start_sieve(_unmet(coordinator))
  linger = 0.0
  try:
    _initialize(*given)
    os.write(2, b"\0\n")  # to the sieve: all are there
    if jax.process_index() > 0:
      logging.mute()
    else:  # what fails in all of them is told by all, before this one takes them away
      linger = _LINGER
    yield
    jax.distributed.shutdown()
  except BaseException as error:
    # Registered last, so called before JAX's, which would wait for the others.
    atexit.register(_leave, linger)
    if isinstance(error, Exception) and _is_loss(error):
      _end(LOST)
    raise


def _check(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
  if num_processes is not None and num_processes < 1:
    raise ValueError(f"num_processes: {num_processes} is not allowed; at least 1 is")
  if num_processes == 1:
    return
  given = dict(
    coordinator=coordinator, num_processes=num_processes, process_id=process_id
  )
  missing = [name for name, value in given.items() if value is None]
  if 0 < len(missing) < 3:
    raise ValueError(f"{missing[0]}: is missing; {', '.join(given)} go together")
  if coordinator is None or process_id is None or num_processes is None:
    return
  if not re.fullmatch(r".+:\d{1,5}", coordinator):
    raise ValueError(f"coordinator: {coordinator!r} is not allowed; write host:port")
  if not 0 <= process_id < num_processes:
    raise ValueError(
      f"process_id: {process_id} is not allowed; 0 to {num_processes - 1} are"
    )
  if process_id == 0:
    _check_port(int(coordinator.rsplit(":", 1)[1]))


def _check_port(port: int) -> None:
  """Refuses one that cannot be opened, where JAX would crash."""
  both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if both else socket.AF_INET
  try:
    socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
  except (OSError, OverflowError) as error:
    raise ValueError(
      f"coordinator: port {port} cannot be opened here ({error}); choose another"
    ) from None


def _initialize(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
  std_logging.getLogger("jax._src.distributed").setLevel(std_logging.WARNING)
  # It would take SIGTERM for itself.
  jax.config.update("jax_enable_preemption_service", False)
  try:
    jax.distributed.initialize(
      coordinator,
      num_processes,
      process_id,
      initialization_timeout=_JOIN,
      heartbeat_timeout_seconds=_HEARTBEAT,
    )
  except RuntimeError as error:
    raise ValueError(f"{_unmet(coordinator)}: {str(error).splitlines()[0]}") from None
  try:
    own, everyone = jax.local_device_count(), jax.device_count()
  except (RuntimeError, AssertionError) as error:
    wanted = os.environ.get("JAX_PLATFORMS")
    raise ValueError(f"JAX_PLATFORMS: {wanted!r}: {error}") from None
  if own * jax.process_count() != everyone:
    raise ValueError(
      f"num_processes: {jax.process_count()} must have as many devices each; process "
      f"{jax.process_index()} has {own} of {everyone}"
    )


def _unmet(coordinator: str | None) -> str:
  where = coordinator or "the address that SLURM gives"
  return f"coordinator: the processes have not met at {where} within {_JOIN} s"


def _is_loss(error: Exception) -> bool:
  text = str(error)
  return any(word in text for word in _BROKEN)


def _start_sieve(unmet: str) -> None:
  """Puts a process of its own between this one's standard error and the terminal."""
  sys.stderr.flush()
  sieve = subprocess.Popen(
    [sys.executable, "-c", _SIEVE, unmet, LOST],
    stdin=subprocess.PIPE,
    stdout=subprocess.DEVNULL,
    start_new_session=True,  # Ctrl-C is not for it
  )
  assert sieve.stdin is not None
  os.dup2(sieve.stdin.fileno(), 2)
  sieve.stdin.close()


def _end(message: str) -> NoReturn:
  print(f"error: {message}", file=sys.stderr, flush=True)
  os._exit(1)


def _leave(linger: float) -> None:
  """Ends the process without waiting for the others, who notice."""
  sys.stdout.flush()
  sys.stderr.flush()
  time.sleep(linger)
  os._exit(1)
