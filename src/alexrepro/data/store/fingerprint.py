"""Which stores were made from a source: known by the names, sizes and times of its files, without reading them.

A store keeps the fingerprint of its source, with the names of all stores that were made with it, in `.source.json`,
which is no part of its content.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from alexrepro import __version__
from alexrepro.data.store.store import Store
from alexrepro.errors import UserError
from alexrepro.files import json_text, read_json, write_json

SOURCE = ".source.json"


def fingerprint(source: Path, out: Path, options: Mapping[str, object]) -> str:
    """A digest of the names, sizes and times of all files of a source, and of how it is prepared.

    out: the folder of the stores, which may lie in the source and is passed over.
    """
    digest = hashlib.sha256(json.dumps([__version__, source.resolve().name, *options.items()]).encode())
    if source.is_dir():
        for part in _folders(os.fsencode(source), {_identity(out.stat())} if out.exists() else set()):
            digest.update(part)
    else:
        digest.update(_line(b"", source.stat()))
    return digest.hexdigest()


def _folders(source: bytes, seen: set[tuple[int, int]]) -> Iterator[bytes]:
    """The path below the source of each folder, with a line for each file in it; links are followed, but none twice."""
    waiting = [source]
    while waiting:
        here, files, folders = waiting.pop(), list[bytes](), list[bytes]()
        with os.scandir(here) as entries:
            for entry in entries:
                try:
                    found = entry.stat()
                except OSError:  # a link to nothing
                    found = entry.stat(follow_symlinks=False)
                if not S_ISDIR(found.st_mode):
                    files.append(_line(entry.name, found))
                elif _identity(found) not in seen:
                    seen.add(_identity(found))
                    folders.append(entry.path)
        waiting += sorted(folders, reverse=True)
        yield b"".join((here[len(source) :], b"\n", *sorted(files)))


def _line(name: bytes, found: os.stat_result) -> bytes:
    return b"%b\0%d\0%d\n" % (name, found.st_size, found.st_mtime_ns)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def prepared_with(mark: str, stores: Sequence[Store]) -> dict[str, Store] | None:
    """The stores by split that were made with this fingerprint, if all of them are among those that are there."""
    by_name = {store.path.name: store for store in stores}
    for store in stores:
        with suppress(UserError):
            kept = read_json(store.path / SOURCE)
            if kept.get("fingerprint") == mark and by_name.keys() >= set(kept["stores"].values()):
                return {split: by_name[name] for split, name in kept["stores"].items()}
    return None


def keep(mark: str, stores: Mapping[str, Store]) -> None:
    """Keep the fingerprint with the stores that do not have it yet, where their disk may be written to."""
    facts = {"fingerprint": mark, "stores": {split: store.path.name for split, store in stores.items()}}
    for file in (store.path / SOURCE for store in stores.values()):
        with suppress(OSError):
            if not file.exists() or file.read_text(encoding="utf-8") != json_text(facts):
                write_json(file, facts)
