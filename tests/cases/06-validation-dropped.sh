. "$(dirname "$0")/env.sh"
# The validation photos are there, but (a) one folder deeper, (b) saved again as .jpg, (c) in a .tar.gz: the ilsvrc layout drops the split without a word.
labels() { "$PY" -c "
from make import WNIDS
open('$1/val.txt','w').write(''.join(f'ILSVRC2012_val_{p*2+i+1:08d}.$2 {p}\n' for p,w in enumerate(WNIDS) for i in (0,1)))"; }
make_tree a --flat-val; labels a JPEG; touch a/ILSVRC2012_readme.txt; cp -r a b; cp -r a c
mkdir a/val/ILSVRC2012_img_val; mv a/val/*.JPEG a/val/ILSVRC2012_img_val/
for f in b/val/*.JPEG; do mv $f ${f%.JPEG}.jpg; done; labels b jpg
tar -C c/val -czf c/ILSVRC2012_img_val.tar.gz . && rm -r c/val
for d in a b c; do ar prepare $d --out st-$d --allow-partial; done
cat > gaps.py <<'P'
from alexrepro.data.sources.official_files import gaps_of_2012
from alexrepro.data.sources.source import Split
print("gaps of the full training set without validation:", list(gaps_of_2012(range(1000), [Split("train", range(1_281_167))])))
P
"$PY" gaps.py
