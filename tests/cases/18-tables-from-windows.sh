. "$(dirname "$0")/env.sh"
# Kaggle's tree whose tables passed through Windows: with a byte-order mark, in UTF-16, with CRLF, with semicolons.
make_tree a --flat-val; mkdir -p ILSVRC/Data/CLS-LOC; mv a/train a/val ILSVRC/Data/CLS-LOC/
"$PY" - <<'P'
from make import WNIDS
rows = ["ImageId,PredictionString"] + [f"ILSVRC2012_val_{p*2+i+1:08d},{w} 1 2 3 4 " for p, w in enumerate(WNIDS) for i in (0, 1)]
t = "\n".join(rows) + "\n"
open("crlf.csv", "wb").write(t.replace("\n", "\r\n").encode())
open("bom.csv", "wb").write(b"\xef\xbb\xbf" + t.encode())
open("utf16.csv", "wb").write(t.encode("utf-16"))
open("semi.csv", "w").write(t.replace(",", ";"))
open("names16.txt", "wb").write("".join(f"{w} fish\n" for w in WNIDS).encode("utf-16"))
open("names1.txt", "wb").write("".join(f"{w} f\xeate\n" for w in WNIDS).encode("latin-1"))
P
for v in crlf bom semi utf16; do echo "--- LOC_val_solution.csv: $v"; cp $v.csv LOC_val_solution.csv; ar prepare . --out st-$v --allow-partial; done
cp crlf.csv LOC_val_solution.csv
for v in names1 names16; do echo "--- LOC_synset_mapping.txt: $v"; cp $v.txt LOC_synset_mapping.txt; ar prepare . --out st-$v --allow-partial; done
rm LOC_*; echo "--- Caffe's val.txt in UTF-16"
"$PY" -c '
from make import WNIDS
open("val.txt","wb").write("".join(f"ILSVRC2012_val_{p*2+i+1:08d}.JPEG {p}\r\n" for p,w in enumerate(WNIDS) for i in (0,1)).encode("utf-16"))'
ar prepare . --out st-caffe16 --allow-partial
printf '\xef\xbb\xbf1\n' > t; mkdir -p d/devkit-1.0/data d/val; cp $SHARED/data/ilsvrc2010-devkit/data/meta.mat d/devkit-1.0/data/ 2>/dev/null && { cp t d/devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt; cp a/train/n01440764/n01440764_3.JPEG d/val/ILSVRC2010_val_00000001.JPEG 2>/dev/null || cp ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_3.JPEG d/val/ILSVRC2010_val_00000001.JPEG; echo "--- ground truth with a mark"; ar prepare d --out st-d; }
