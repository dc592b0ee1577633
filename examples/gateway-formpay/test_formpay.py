"""The conformance kit over this plugin and its samples. Run it where the package is installed: ``python -m pytest``."""

from gateway.testing import check_plugin


def test_the_kit_finds_nothing() -> None:
    """Not one rule is broken."""
    report = check_plugin("formpay")
    assert report.ok, str(report)
