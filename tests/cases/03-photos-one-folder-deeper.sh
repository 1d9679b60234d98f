. "$(dirname "$0")/env.sh"
# One class keeps its photos one folder deeper (n.../images/, as an unpacked synset tar leaves them).
make_tree ds; rm -rf ds/val
mkdir ds/train/n01484850/images; mv ds/train/n01484850/*_1*.JPEG ds/train/n01484850/images/
mkdir ds/train/n01491361/n01491361; mv ds/train/n01491361/*.JPEG ds/train/n01491361/n01491361/
find ds/train -name '*.JPEG' | wc -l
ar prepare ds --out st
