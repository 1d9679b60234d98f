. "$(dirname "$0")/env.sh"
# The archives were compressed for the transfer: ILSVRC2012_img_train.tar.gz, ILSVRC2012_img_val.tar.gz.
"$PY" - <<'P'
import io, tarfile, os, gzip
from make import photo, WNIDS
def add(tar, name, data):
    info = tarfile.TarInfo(name); info.size = len(data); tar.addfile(info, io.BytesIO(data))
os.mkdir("in"); n = 0
with tarfile.open("in/ILSVRC2012_img_train.tar.gz", "w:gz") as outer:
    for w in WNIDS:
        b = io.BytesIO()
        with tarfile.open(fileobj=b, mode="w") as t:
            for k in range(4): add(t, f"{w}_{k}.JPEG", photo(n)); n += 1
        add(outer, f"{w}.tar", b.getvalue())
with tarfile.open("in/ILSVRC2012_img_val.tar.gz", "w:gz") as t:
    for k in range(1, 6): add(t, f"ILSVRC2012_val_{k:08d}.JPEG", photo(200 + k))
open("in/val.txt", "w").write("".join(f"ILSVRC2012_val_{k:08d}.JPEG {k-1}\n" for k in range(1, 6)))
P
ar prepare in --out st --allow-partial
gunzip in/ILSVRC2012_img_train.tar.gz; echo "--- train unpacked to a plain tar, val still .tar.gz"
ar prepare in --out st --allow-partial
cd "$W"
# The training tar cut by `split -n 12 -d -a 1`-like tools or by hand: .tar.1 ... .tar.12; and by `split`: .tar.aa, .tar.ab; with a checksum beside it.
"$PY" - <<'P'
import io, tarfile, os
from make import photo, WNIDS
def add(tar, name, data):
    info = tarfile.TarInfo(name); info.size = len(data); tar.addfile(info, io.BytesIO(data))
n = 0; out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as outer:
    for w in WNIDS:
        b = io.BytesIO()
        with tarfile.open(fileobj=b, mode="w") as t:
            for k in range(4): add(t, f"{w}_{k}.JPEG", photo(n)); n += 1
        add(outer, f"{w}.tar", b.getvalue())
data = out.getvalue(); step = -(-len(data) // 12)
for name in ("numbered", "letters", "aside"): os.mkdir(name)
for k in range(12):
    part = data[k*step:(k+1)*step]
    open(f"numbered/ILSVRC2012_img_train.tar.{k+1}", "wb").write(part)
    open(f"letters/ILSVRC2012_img_train.tar.a{chr(97+k)}", "wb").write(part)
    open(f"aside/ILSVRC2012_img_train.tar.{k+1:03d}", "wb").write(part)
open("aside/ILSVRC2012_img_train.tar.000.torrent", "wb").write(b"d8:announce0:e")
open("aside/ILSVRC2012_img_train.tar.md5", "w").write("1d675b47d978889d74fa0da5fadfb00e  ILSVRC2012_img_train.tar\n")
P
for f in letters aside numbered; do echo "--- $f"; ar prepare $f --out st-$f --allow-partial; done
