. "$(dirname "$0")/env.sh"
# One row of the training Parquet has no label, or -1.
"$PY" - <<'P'
import os
import pyarrow as pa, pyarrow.parquet as pq
from make import photo
n = 40
image = pa.StructArray.from_arrays([pa.array([photo(i) for i in range(n)], pa.binary()), pa.array([f"{i}.jpg" for i in range(n)])], names=["bytes", "path"])
for name, bad in (("null", None), ("minus", -1)):
    os.makedirs(name); labels = [i % 4 for i in range(n)]; labels[7] = bad
    pq.write_table(pa.table({"image": image, "label": pa.array(labels, pa.int64())}), f"{name}/train-00000-of-00001.parquet")
P
for d in null minus; do ar prepare $d --out st-$d; ar train tiny --store st-$d --runs runs-$d --epochs 2 --device cpu; ar doctor tiny --store st-$d --runs runs-$d --device cpu | head -30; done
