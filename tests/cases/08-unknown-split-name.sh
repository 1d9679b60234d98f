. "$(dirname "$0")/env.sh"
# The held-out photos lie in dev/ (or eval/, valid_set/).
make_tree ds; mv ds/val ds/dev
ar prepare ds --out st
