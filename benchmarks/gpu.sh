#!/usr/bin/env bash
# The benchmarks that matter on one accelerator, in under 8 minutes, as one JSON:
#   bash benchmarks/gpu.sh gpu.json            # all
#   bash benchmarks/gpu.sh cpu.json --quick    # tiny sizes, to see that it runs
# What fails or takes too long is left out, and said.
set -u
out=${1:?the JSON to write}
quick=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

measure() { # name, seconds allowed, arguments
  local name=$1 limit=$2
  shift 2
  timeout "$limit" python "$here/$name.py" "$@" $quick --out="$parts/$name.json" ||
    echo "left out: $name" >&2
}

measure learners 150
measure sampling 60
measure imagination 150
measure seeds 110 --seeds=1,8,64

python - "$parts" "$out" <<'PY'
import json, pathlib, sys
parts, out = sys.argv[1:]
found = {p.stem: json.loads(p.read_text()) for p in sorted(pathlib.Path(parts).iterdir())}
pathlib.Path(out).write_text(json.dumps(found, indent=2))
print(f"{out}: {', '.join(found) or 'nothing'}")
sys.exit(not found)
PY
