"""The README as package indexes show it: links into the checkout become text, since an index has no checkout."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

INTO_CHECKOUT = re.compile(r"!?\[([^\]]*)\]\((?!\w+:)[^)]*\)")


class Readme(MetadataHookInterface):
    """Gives the package its long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the README of the package's metadata."""
        text = INTO_CHECKOUT.sub(r"\1", Path(self.root, "README.md").read_text(encoding="utf-8"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
