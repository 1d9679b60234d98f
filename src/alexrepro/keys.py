"""Keys: every random draw of the program starts from a number computed here.

A key depends on the seed and on words that say what is drawn ("dropout", step, stage), never on what was
drawn before. So a run resumes from a step number alone, on any number of workers or processes.
"""

import hashlib

KEY_BITS = 63  # fits a signed 64-bit integer, which is what torch and numpy generators accept


def key(seed: int, *words: int | str) -> int:
    """A number in [0, 2**63) that depends on the seed and every word, and on nothing else."""
    text = "\x1f".join([f"i{seed}", *(f"{type(word).__name__[0]}{word}" for word in words)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - KEY_BITS)
