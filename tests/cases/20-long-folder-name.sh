. "$(dirname "$0")/env.sh"
# The folder of the data set has a long name, as downloads have; the longest that a disk takes is 255.
n=$(printf 'x%.0s' $(seq 1 225)); make_tree "$n"
ar prepare "$n" --out st
