"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import labelcut

MODULES = [
    module.name
    for module in pkgutil.walk_packages(labelcut.__path__, "labelcut.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", ["labelcut", *MODULES])
def test_examples_run(name):
    """A reader would copy an example that does not work."""
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_examples_are_found():
    """The test above would pass over nothing."""
    found = [importlib.import_module(name) for name in MODULES]
    assert sum(bool(module.__doc__) for module in found) > 20
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test for module in found for test in finder.find(module) if test.examples]
    assert len(examples) > 10
