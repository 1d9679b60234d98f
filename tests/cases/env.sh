# Sourced by each case, which then makes its own input in a fresh folder and runs the program there.
CASES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT=$(cd "$CASES/../.." && pwd)
PY=${PY:-$PROJECT/.venv/bin/python}
SHARED=$PROJECT/../shared
export PYTHONPATH=$PROJECT/src:$CASES
ar() { echo "\$ alexrepro $*" >&2; "$PY" -m alexrepro "$@"; local rc=$?; echo "[exit $rc]" >&2; return $rc; }
make_tree() { "$PY" "$CASES/make.py" "$@"; }
W=$(mktemp -d); export TMPDIR=$W/tmp; mkdir "$TMPDIR"; trap 'rm -rf "$W"' EXIT; cd "$W"
