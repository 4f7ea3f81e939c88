"""Hook of mkdocs: adds the pages that are made from code, and leaves links to source files out."""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from local.reference import pages

_TO_SOURCE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./)+(?:functions|shared|knative|tests|eventing|local)/[^)]*\)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write the name of a source file where a link would leave the site."""
    return _TO_SOURCE.sub(r"\1", markdown)
