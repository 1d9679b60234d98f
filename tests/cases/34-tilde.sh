. "$(dirname "$0")/env.sh"
# --out=~/stores: bash leaves the ~ there, so that a folder named ~ comes to be.
make_tree ds; export HOME=$W/home; mkdir home
ar prepare ds --out=~/stores >/dev/null 2>&1; ls -d ./~ home/*; ls
ar prepare '~/ds' --out st
