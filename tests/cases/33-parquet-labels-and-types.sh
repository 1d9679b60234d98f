. "$(dirname "$0")/env.sh"
"$PY" - <<'P'
import os
import pyarrow as pa, pyarrow.parquet as pq
from make import photo
n = 12; data = [photo(i) for i in range(n)]; paths = [f"{i}.jpg" for i in range(n)]
image = pa.StructArray.from_arrays([pa.array(data, pa.binary()), pa.array(paths)], names=["bytes", "path"])
crop = pa.StructArray.from_arrays([pa.array(data, pa.binary_view()), pa.array(paths, pa.string_view())], names=["bytes", "path"])
for name, c, l in (("onebased", image, [i % 4 + 1 for i in range(n)]), ("gap", image, [i % 4 * 10 for i in range(n)]), ("binview", crop, [i % 4 for i in range(n)])):
    os.makedirs(name); pq.write_table(pa.table({"image": c, "label": pa.array(l)}), f"{name}/train-00000-of-00001.parquet")
P
for d in onebased gap binview; do ar prepare $d --out st; done
