"""What a build adds to the package: which code it was built from, and a README that is whole on a package index.

Both go into the metadata of an sdist, so that a wheel that is built from one has the same.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VERSION = "0.1.0"
_RELATIVE = r"(?!https?:|mailto:|#)([^)\s\"]+)"
_PICTURE = re.compile(rf"!\[([^\]]*)\]\({_RELATIVE}(?:\s+\"[^\"]*\")?\)")
_HTML_PICTURE = re.compile(r"<img\b[^>]*>")
_LINK = re.compile(rf"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\({_RELATIVE}\)")
"""The words of a link can hold a picture."""


class CustomMetadataHook(MetadataHookInterface):
    """Fills the fields that pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `version` and `readme`."""
        root = Path(self.root)
        source = metadata.get("urls", {}).get("Source")
        text = (root / "README.md").read_text(encoding="utf-8")
        metadata["version"] = version(root)
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text, source, commit(root) or "HEAD")}


def version(root: Path) -> str:
    """`VERSION` where its tag is, which an index accepts; else with the commit: 0.1.0+g0123456789ab, or so .dirty."""
    found = commit(root)
    if found is None:
        return f"{VERSION}+unknown"
    is_dirty = bool(_git(root, "status", "--porcelain"))
    tags = (_git(root, "tag", "--points-at", "HEAD") or "").split()
    return VERSION if f"v{VERSION}" in tags and not is_dirty else f"{VERSION}+g{found[:12]}{'.dirty' * is_dirty}"


def commit(root: Path) -> str | None:
    """The checkout's commit; None if `root` is no checkout of its own."""
    top = _git(root, "rev-parse", "--show-toplevel")
    return _git(root, "rev-parse", "HEAD") if top and Path(top).resolve() == root.resolve() else None


def for_index(text: str, source: str | None, commit: str) -> str:
    """A README whose relative links lead to the repository, and are only their words while that has no address.

    An index shows no picture that the text itself holds (`data:`), and none from its own pages.

    Args:
        text: Markdown.
        source: the repository's address: `Source` under `[project.urls]`. None: there is no place to link to.
        commit: a commit or branch there.
    """

    def at(kind: str, path: str) -> str:
        return f"{(source or '').rstrip('/')}/{kind}/{commit}/{path}"

    def picture(words: str, path: str) -> str:
        return f"*{words}*" if source is None else f"![{words}]({at('raw', path)})"

    def html_picture(tag: re.Match[str]) -> str:
        path, words = (re.search(rf'\b{name}="([^"]*)"', tag[0]) for name in ("src", "alt"))
        if path is None or re.match("https?:", path[1]):
            return tag[0]
        return picture("" if words is None else words[1], path[1])

    text = _HTML_PICTURE.sub(html_picture, text)
    text = _PICTURE.sub(lambda found: picture(found[1], found[2]), text)
    return _LINK.sub(lambda found: found[1] if source is None else f"[{found[1]}]({at('blob', found[2])})", text)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
