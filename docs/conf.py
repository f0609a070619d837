"""How the documentation is built. Offline on purpose: no intersphinx, nothing is fetched."""

from greenai import __version__

project = "greenai"
author = "the greenai authors"
project_copyright = "the greenai authors, MIT licence"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
nitpicky = False

html_theme = "furo"
html_title = f"greenai {release}"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
