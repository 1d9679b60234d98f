. "$(dirname "$0")/env.sh"
# val.txt counts the devkit's ids from 0 (490, 361, 171, 822 less one), not the sorted WNIDs. 1,000 classes, one small photo each.
cp "$CASES/wnids.txt" .
"$PY" - <<'P'
import pathlib
from make import photo
w = open("wnids.txt").read().split(); assert len(w) == 1000
for k, name in enumerate(w):
    d = pathlib.Path("ds/train") / name; d.mkdir(parents=True); (d / f"{name}_1.JPEG").write_bytes(photo(k % 7, side=32))
pathlib.Path("ds/val").mkdir(); first = [489, 360, 170, 821]; labels = first + [k for k in range(1000) if k not in first]
for k in range(1000): pathlib.Path(f"ds/val/ILSVRC2012_val_{k+1:08d}.JPEG").write_bytes(photo(k % 7, side=32))
open("ds/val.txt", "w").write("".join(f"ILSVRC2012_val_{k+1:08d}.JPEG {labels[k]}\n" for k in range(1000)))
P
ar prepare ds --out st --allow-partial --side 32
"$PY" - <<'P'
from pathlib import Path
from alexrepro.data.store.store import find_stores
for s in find_stores(Path("st")):
    if s.manifest.split == "val": print("label of val_00000001 in the store:", s.labels[0], s.manifest.classes[s.labels[0]], "; true: 65 n01751748")
P
