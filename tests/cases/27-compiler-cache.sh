. "$(dirname "$0")/env.sh"
# The folder of torch's compiler cannot be made (TORCHINDUCTOR_CACHE_DIR below a folder of somebody else, on a read-only disk, below /proc).
make_tree ds; ar prepare ds --out st >/dev/null 2>&1; mkdir other ro; chmod 700 other; chown 4242 other; export PY
cat > in.sh <<'S'
TORCHINDUCTOR_CACHE_DIR=$PWD/other/sub setpriv --bounding-set=-dac_override,-dac_read_search nice -n 10 "$PY" -m alexrepro train tiny --store st --runs r1 --epochs 1 --device cpu --compile 2>&1 | tail -n 2
mount -t tmpfs -o ro none ro; TORCHINDUCTOR_CACHE_DIR=$PWD/ro/sub nice -n 10 "$PY" -m alexrepro train tiny --store st --runs r2 --epochs 1 --device cpu --compile 2>&1 | tail -n 2
TORCHINDUCTOR_CACHE_DIR=/proc/none nice -n 10 "$PY" -m alexrepro train tiny --store st --runs r3 --epochs 1 --device cpu --compile 2>&1 | tail -n 2
S
unshare -m bash in.sh
