. "$(dirname "$0")/env.sh"
# Pictures whose suffix is .tif, .ppm, .jfif or missing lie among JPEGs.
make_tree ds; rm -rf ds/val
"$PY" - <<'P'
from make import photo; from pathlib import Path
d=Path("ds/train/n01443537")
for i,(s,k) in enumerate([(".tif","TIFF"),(".tiff","TIFF"),(".ppm","PPM"),(".jfif","JPEG"),(".jpe","JPEG"),("","JPEG"),(".JPEG.1","JPEG")]):
    (d/f"extra{i}{s}").write_bytes(photo(50+i,kind=k))
P
ls ds/train/n01443537 | wc -l
ar prepare ds --out st
