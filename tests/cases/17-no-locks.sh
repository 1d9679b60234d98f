. "$(dirname "$0")/env.sh"
# flock says ENOLCK (NFS without lockd) or EOPNOTSUPP. The call is replaced by way of sitecustomize.
mkdir site; cat > site/sitecustomize.py <<'P'
import errno, fcntl, os
def flock(fd, how):
    number = getattr(errno, os.environ["FLOCK_SAYS"]); raise OSError(number, os.strerror(number))
if "FLOCK_SAYS" in os.environ: fcntl.flock = flock
P
make_tree ds; ar prepare ds --out st >/dev/null 2>&1; export PYTHONPATH=$W/site:$PYTHONPATH
for e in ENOLCK EOPNOTSUPP ENOSYS; do export FLOCK_SAYS=$e; echo "--- $e"; ar prepare ds --out st-$e 2>&1 | tail -n 2; ar train tiny --store st --runs runs-$e --epochs 1 --device cpu 2>&1 | tail -n 2; done
