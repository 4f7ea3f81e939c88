"""Hook of mkdocs: adds pages made from code, and reads Markdown as GitHub does.

Links to source files become their names. Python-Markdown begins a list or a table only behind an
empty line, and takes four spaces for what belongs to an item.
"""

import re
from collections.abc import Iterable, Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from local.reference import pages

_TO_SOURCE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./)+(?:functions|shared|knative|tests|eventing|local)/[^)]*\)"
)

_ITEM = re.compile(r"[-*] |\d+\. ")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write the name of a source file where a link would leave the site; separate blocks."""
    return "\n".join(_separated(_TO_SOURCE.sub(r"\1", markdown).splitlines()))


def _separated(lines: Iterable[str]) -> Iterator[str]:
    before, shift = "", ""
    in_list = in_fence = is_loose = False
    for line in lines:
        text = line.lstrip()
        indent = len(line) - len(text)
        if text.startswith("```"):
            in_fence = not in_fence
            if in_fence:
                shift = " " * (4 - indent) if in_list and 0 < indent < 4 else ""
                is_loose = in_list
                yield ""
            yield shift + line
            if not in_fence:
                yield ""
        elif in_fence:
            yield shift + line
        elif _ITEM.match(text) and (indent == 0 or in_list):
            if before and (is_loose or not in_list):
                yield ""
            in_list = True
            yield f"{' ' * 4 if 0 < indent < 4 else ' ' * indent}{text}"
        else:
            if text.startswith("|") and before and not before.startswith("|"):
                yield ""
            in_list = in_list and (indent > 0 or bool(before and text))
            is_loose = is_loose and in_list
            yield " " * 4 + text if in_list and 0 < indent < 4 else line
        before = text
