"""Verification of a store: every byte against its checksums.

Reading checks what it reads; this reads everything, and names all that is wrong instead of the first.
"""

from pathlib import Path

from alexrepro.data.store.manifest import read_manifest
from alexrepro.errors import UserError
from alexrepro.files import sha256_of_file
from alexrepro.progress import progress


def verify(path: Path) -> list[str]:
    """What is wrong with the store in a folder, a sentence each; empty if every byte is as it was written."""
    try:
        manifest = read_manifest(path)
    except UserError as error:
        return [error.what]
    problems = []
    if not path.name.endswith(manifest.digest[:6]):
        problems.append(f"the folder's name does not end in {manifest.digest[:6]}, the digest of its images")
    for file, checksum in manifest.sha256.items():
        problems += _compare(path / file, checksum)
    with progress(f"verify {path.name}", total=manifest.images) as advance:
        for shard in manifest.shards:
            problems += _compare(path / shard.file, shard.sha256)
            advance(shard.images, "")
    known = {shard.file for shard in manifest.shards}
    strangers = sorted(file.name for file in path.glob("shard-*") if file.name not in known)
    return problems + [f"{name} does not belong to it" for name in strangers]


def _compare(file: Path, checksum: str) -> list[str]:
    try:
        found = sha256_of_file(file)
    except OSError as error:
        return [f"{file.name} cannot be read ({error.strerror})"]
    return [] if found == checksum else [f"{file.name} does not have its checksum"]
