"""The browser of the other tests lets nothing out of this machine."""

import pytest

from tests.browser import chromium

pytest_plugins = "pytester"


@pytest.mark.slow
def test_a_page_that_asks_elsewhere_fails_its_test(pytester):
    chromium()
    pytester.makeconftest("from tests.browser import browser, open_page")
    pytester.makepyfile(
        """
        import pytest

        HERE = "<p>here</p>"

        @pytest.mark.parametrize("more", ["", "<img src='http://example.org/x.png'>", "<script>none()</script>",
                                          "<script>new WebSocket('ws://example.org/s')</script>"])
        def test_page(open_page, tmp_path, more):
            (tmp_path / "p.html").write_text(HERE + more)
            assert open_page(f"file://{tmp_path}/p.html").inner_text("p") == "here"
        """
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=4, errors=3)
    done.stdout.fnmatch_lines(["*leave this machine*example.org/x.png*", "*none is not defined*", "*example.org/s*"])
