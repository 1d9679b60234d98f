. "$(dirname "$0")/env.sh"
# `!alexrepro report all` in a notebook whose MPLBACKEND names a module that this Python lacks (Colab, Kaggle, Jupyter).
export MPLBACKEND=module://matplotlib_inline.backend_inline
for r in table-1 figure-3 all; do ar report $r --runs runs --out rep 2>&1 | tail -n 2; done
