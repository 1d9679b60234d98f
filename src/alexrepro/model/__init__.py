"""The network in torch: images (B, 3, 224, 224) in, logits (B, K) out."""
