. "$(dirname "$0")/env.sh"
# The tree of ILSVRC2017_CLS-LOC.tar.gz: no LOC_ tables, no devkit; the classes of val are in Annotations/*.xml only.
make_tree a --flat-val; mkdir -p ILSVRC/Data/CLS-LOC ILSVRC/ImageSets/CLS-LOC ILSVRC/Annotations/CLS-LOC/val; mv a/train a/val ILSVRC/Data/CLS-LOC/
for f in ILSVRC/Data/CLS-LOC/val/*; do b=$(basename $f .JPEG); echo "$b $((10#${b##*_}))" >> ILSVRC/ImageSets/CLS-LOC/val.txt; echo "<annotation><folder>val</folder><filename>$b</filename><object><name>n01440764</name></object></annotation>" > ILSVRC/Annotations/CLS-LOC/val/$b.xml; done
ar prepare . --out st --allow-partial
ar prepare ILSVRC --out st1 --allow-partial
ar prepare ILSVRC/Data/CLS-LOC --out st2 --allow-partial
ar train tiny --store st --runs runs --epochs 1 --device cpu
ar evaluate --store st --runs runs
