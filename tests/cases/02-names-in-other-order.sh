. "$(dirname "$0")/env.sh"
# --names is a synset_words.txt in another order than the network's classes (as the devkit's is); every line has its WNID.
make_tree ds; ar prepare ds --out st >/dev/null 2>&1; ar train tiny --store st --runs runs --epochs 1 --device cpu >/dev/null 2>&1
printf 'n01494475 hammerhead\nn01484850 great white shark\nn01440764 tench\nn01491361 tiger shark\nn01443537 goldfish\n' > synset_words.txt
ar predict ds/train/n01440764/n01440764_3.JPEG --store st --runs runs
ar predict ds/train/n01440764/n01440764_3.JPEG --store st --runs runs --names synset_words.txt
