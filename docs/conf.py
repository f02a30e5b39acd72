"""How Sphinx makes the site: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import hiexp

DOCS = Path(__file__).parent
sys.path.append(str(DOCS))  # for the extension that writes the reference of groups and commands

project = "hiexp"
author = "hiexp developers"
project_copyright = "hiexp developers"
release = version = hiexp.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "reference_pages",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext", ".ipynb": "myst-nb"}
nitpicky = True  # what is named has to be there, ...
nitpick_ignore_regex = [("py:.*", r"(?!hiexp\b).*|.*\._.*")]  # ... but for what is of other libraries

# Pages are Markdown; what they link to in the repository is shown there.
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # a shell command over several lines of a notebook
nb_execution_mode = "off"  # the tests execute the notebooks, and fail where a cell does

apidoc_modules = [
    {
        "path": "../hiexp",
        "destination": "reference/api",
        "separate_modules": True,
        "module_first": True,
        "implicit_namespaces": False,
        "automodule_options": {"members", "show-inheritance"},
        "max_depth": 2,
    }
]
autodoc_default_options = {
    # What matplotlib and scikit-learn give to each of their kind, with markup of their own.
    "exclude-members": "set,set_fit_request,set_predict_proba_request,set_predict_request,set_score_request,"
    "set_transform_request",
    "ignore-module-all": True,  # each thing once, where it is defined
}
autodoc_typehints = "none"  # numpydoc says them in words
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"hiexp {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "navigation_depth": 2,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
}
html_show_sourcelink = False
