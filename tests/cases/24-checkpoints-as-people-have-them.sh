. "$(dirname "$0")/env.sh"
# Weights as people have them: a checkpoint of pytorch/examples (DataParallel around features), DDP, Lightning, half precision, a whole pickled model, TorchScript, safetensors without a recipe, gzip.
"$PY" - <<'P'
import torch
from torchvision.models import alexnet
from safetensors.torch import save_file
torch.manual_seed(0); m = alexnet(num_classes=10); s = m.state_dict()
torch.save(s, "plain.pth")
torch.save(s, "legacy.pth", _use_new_zipfile_serialization=False)
torch.save({k: v.half() for k, v in s.items()}, "half.pth")
torch.save({k: v.bfloat16() for k, v in s.items()}, "bf16.pth")
torch.save({f"module.{k}": v for k, v in s.items()}, "ddp.pth")
torch.save({k.replace("features.", "features.module."): v for k, v in s.items()}, "features-module.pth")
torch.save({"epoch": 90, "arch": "alexnet", "state_dict": {k.replace("features.", "features.module."): v for k, v in s.items()}, "best_acc1": torch.tensor(56.5), "optimizer": {"state": {}, "param_groups": [{"lr": 0.01}]}}, "model_best.pth.tar")
torch.save({"epoch": 90, "state_dict": s}, "wrapped.pth")
torch.save({"model": s, "epoch": 3}, "tv-reference.pth")
torch.save({"state_dict": {f"model.{k}": v for k, v in s.items()}, "pytorch-lightning_version": "2.4"}, "lightning.ckpt")
torch.save({f"_orig_mod.{k}": v for k, v in s.items()}, "compiled.pth")
torch.save(m, "whole.pth")
torch.jit.script(m).save("script.pt")
save_file(s, "hub.safetensors")
torch.save(s, "pytorch_model.bin")
import collections; torch.save(collections.OrderedDict((k, torch.nn.Parameter(v)) for k, v in s.items()), "params.pth")
open("html.pth", "w").write("<!DOCTYPE html><html>Sign in</html>")
open("lfs.pth", "w").write("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 244418560\n")
d = open("plain.pth", "rb").read(); open("cut.pth", "wb").write(d[: len(d) // 2])
bad = dict(s); bad["classifier.6.weight"] = bad["classifier.6.weight"] * float("nan"); torch.save(bad, "nan.pth")
P
for f in plain.pth legacy.pth half.pth bf16.pth params.pth ddp.pth features-module.pth model_best.pth.tar wrapped.pth tv-reference.pth lightning.ckpt compiled.pth whole.pth script.pt hub.safetensors pytorch_model.bin html.pth lfs.pth cut.pth nan.pth missing.pth; do echo "--- $f"; ar convert $f --to out-$f.safetensors; done
