. "$(dirname "$0")/env.sh"
# A folder for --names; an .npz named .npy for --mean; a run folder whose JSON files are empty (power lost); Ctrl-C while the workers of prepare start.
make_tree ds; ar prepare ds --out st >/dev/null 2>&1; ar train tiny --store st --runs runs --epochs 1 --device cpu >/dev/null 2>&1
ar predict ds/train/n01440764/n01440764_3.JPEG --store st --runs runs --names . 2>&1 | tail -n 2
"$PY" - <<'P'
import numpy as np
from alexrepro.model.formats import caffe
net = caffe._classes()["NetParameter"]()
shapes = {"conv1": ((8, 3, 11, 11), 8), "conv2": ((8, 4, 5, 5), 8), "conv3": ((8, 8, 3, 3), 8), "conv4": ((8, 4, 3, 3), 8), "conv5": ((8, 4, 3, 3), 8), "fc6": ((16, 8 * 36), 16), "fc7": ((16, 16), 16), "fc8": ((10, 16), 10)}
def layer(name, kind, shape=None, n=0):
    l = net.layer.add(); l.name, l.type = name, kind
    if shape:
        for s in (shape, (n,)):
            b = l.blobs.add(); b.shape.dim.extend(s); b.data.extend([0.01] * int(np.prod(s)))
    if kind == "LRN": l.lrn_param.local_size, l.lrn_param.alpha, l.lrn_param.beta = 5, 1e-4, .75
for name, (shape, n) in shapes.items():
    layer(name, "Convolution" if name[0] == "c" else "InnerProduct", shape, n)
    if name in ("conv1", "conv2"): layer("norm" + name[-1], "LRN"); layer("pool" + name[-1], "Pooling")
open("small.caffemodel", "wb").write(net.SerializeToString())
with open("mean.npy", "wb") as f: np.savez(f, mean=np.full((3, 256, 256), 110, np.float32))
P
ar convert small.caffemodel --mean mean.npy --to out.safetensors 2>&1 | tail -n 2
for f in environment.json result.json; do cp -r runs runs-$f; : > runs-$f/*/ds-seed-0/$f; for c in train evaluate; do [ $c = train ] && o="tiny --epochs 1" || o=; ar $c $o --store st --runs runs-$f --device cpu 2>&1 | tail -n 2; done; done
"$PY" - <<'P'
import os, signal, subprocess, sys, time
from make import photo
for c in range(4):
    os.makedirs(f"big/c{c}")
    for k in range(800): open(f"big/c{c}/{k}.jpg", "wb").write(photo(k, side=64))
p = subprocess.Popen([sys.executable, "-u", "-m", "alexrepro", "prepare", "big", "--out", "st9", "--workers", "2"], stderr=subprocess.STDOUT, stdout=open("out.txt", "w"), start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
while "read as" not in open("out.txt").read(): time.sleep(.1)
time.sleep(1.5); os.killpg(p.pid, signal.SIGINT); code = p.wait(); o = open("out.txt").read()
print("Ctrl-C while workers start: exit", code, "-", o.count("Traceback"), "tracebacks in", len(o.splitlines()), "lines")
P
