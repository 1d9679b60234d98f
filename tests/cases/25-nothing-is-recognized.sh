. "$(dirname "$0")/env.sh"
# Eleven folders that hold what one could prepare, and one answer for all of them.
make_tree a; mkdir -p twice/train twice/val; cp -r a/train twice/train/train; cp -r a/val twice/val/val
mkdir high; cp -r a high/imagenet
mkdir hundred; for k in 1 2; do mkdir hundred/train.X$k; done; cp -r a/train/n0144* hundred/train.X1/; cp -r a/train/n014[89]* hundred/train.X2/; cp -r a/val hundred/val.X
mkdir -p flat/train; for f in a/train/*/*; do cp $f flat/train/; done
mkdir -p hf/train hf/val; for f in a/train/*/*; do b=$(basename $f .JPEG); cp $f hf/train/${b}_${b%%_*}.JPEG; done; for f in a/val/*/*; do b=$(basename $f .JPEG); cp $f hf/val/${b}_$(basename $(dirname $f)).JPEG; done
mkdir cifar; head -c 3000 /dev/urandom > cifar/cifar-10-python.tar.gz
"$PY" - <<'P'
import io, os, tarfile
import pyarrow as pa, pyarrow.parquet as pq
from make import photo
t = pa.table({"image": pa.StructArray.from_arrays([pa.array([photo(i) for i in range(8)], pa.binary()), pa.array([f"{i}.jpg" for i in range(8)])], names=["bytes", "path"]), "label": pa.array([i % 4 for i in range(8)])})
os.makedirs("saved/train"); os.makedirs("cache/ILSVRC___imagenet-1k/default/1.0.0/49e2"); os.makedirs("hub/datasets--x--y/snapshots/49e2/data")
for f in ("saved/train/data-00000-of-00001.arrow", "cache/ILSVRC___imagenet-1k/default/1.0.0/49e2/imagenet-1k-train.arrow"):
    with pa.OSFile(f, "wb") as o, pa.ipc.new_stream(o, t.schema) as w: w.write_table(t)
open("saved/dataset_dict.json", "w").write('{"splits": ["train"]}')
pq.write_table(t, "hub/datasets--x--y/snapshots/49e2/data/train-00000-of-00001.parquet")
for d, n in (("shards", "train-000000.tar"), ("shards2", "train/000000.tar")):
    os.makedirs(os.path.dirname(f"{d}/{n}"))
    with tarfile.open(f"{d}/{n}", "w") as tar:
        for k in range(8):
            for s, b in (("jpg", photo(k)), ("cls", str(k % 4).encode())):
                i = tarfile.TarInfo(f"{k:06d}.{s}"); i.size = len(b); tar.addfile(i, io.BytesIO(b))
P
for d in twice high hundred flat hf cifar saved cache hub/datasets--x--y shards shards2; do ar prepare $d --out st; done
