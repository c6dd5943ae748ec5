"""By keyboard alone, at every width, light and dark, and to those who do not see."""

import pathlib

import axe_core_python
import pytest
from selenium.webdriver.common.keys import Keys

from conftest import SCRATCH

AXE = (pathlib.Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
WIDTHS = [360, 900, 1600]


@pytest.fixture(scope="module")
def views(server, hamlet, probed):
    """Every view, by what shows that it is there."""
    job = server.call("/v1/influence", {
        "prompt": "Hamlet is a tragedy written by William", "completion": " Shakespeare", "candidates": {"prefilter": "all"}})["id"]
    server.call(f"/v1/jobs/{job}", method="DELETE")
    return {
        "ask": ("#/ask?prompt=Hamlet+is+a+tragedy+written+by+William&completion=Shakespeare&contrast=+Marlowe&spans=0-5", ".starters .chip"),
        "jobs": ("#/jobs", "table.jobs tbody tr"),
        "job": (f"#/jobs/{job}", ".status[data-status=cancelled]"),
        "read": (f"#/results/{hamlet}?open=p1", ".whole table"),
        "probed": (f"#/results/{probed}?open=p1&marks=likelier", ".whole table"),
        "compare": (f"#/compare?left={hamlet}.0&right={hamlet}.0", "table.joint"),
        "state": ("#/state", ".facts"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ask", "jobs", "job", "read", "probed", "compare", "state"])
def test_a_view_has_no_serious_fault_and_fits(page, views, name, scheme):
    page.media(scheme)
    for width in WIDTHS:
        page.size(width, 900)
        address, sign = views[name]
        page.open(address, until=sign)
        page.script("for (const details of document.querySelectorAll('main details')) details.open = true")
        assert page.overflow() <= 0, f"{name} at {width}"
        page.driver.execute_script(AXE)
        found = page.driver.execute_async_script(
            "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then(arguments[0])")
        serious = [
            (fault["id"], node["html"][:160], node.get("failureSummary", "")[:300])
            for fault in found["violations"] if fault["impact"] in ("serious", "critical") for node in fault["nodes"][:3]]
        assert serious == []
        height = page.script("return document.documentElement.scrollHeight")
        page.size(width, min(height, 6000))
        folder = SCRATCH / "screens"
        folder.mkdir(parents=True, exist_ok=True)
        page.driver.save_screenshot(str(folder / f"{name}-{width}-{scheme}.png"))


def test_a_question_is_asked_and_its_answer_read_by_keyboard_alone(page):
    page.open("#/ask", until=".starters .chip")
    skip = page.tab_to(lambda element: True)
    assert skip.text == "Skip to the content"
    page.keys(Keys.ENTER)
    assert page.script("return document.activeElement.id") == "main"
    page.tab_to(lambda element: element.get_attribute("name") == "prompt")
    assert page.focus_is_visible()
    page.keys("Hamlet is a tragedy written by William")
    page.tab_to(lambda element: element.get_attribute("name") == "completion")
    page.keys(" Shakespeare")
    page.tab_to(lambda element: element.tag_name == "summary" and element.text == "More options")
    page.keys(Keys.ENTER)
    page.tab_to(lambda element: element.get_attribute("name") == "limit")
    # What is in a field is selected when the tabulator key comes to it.
    page.keys("60")
    page.tab_to(lambda element: element.text == "Find the sequences")
    assert page.focus_is_visible()
    page.keys(Keys.ENTER)
    page.wait_for_address(r"^#/results/")
    page.wait_for(".sequence")
    assert "60 of" in page.text(".about")
    # The focus is at the beginning of what is new, not on what has gone.
    assert page.script("return document.activeElement.id") == "main"
    page.tab_to(lambda element: element.text == "Whole sequence")
    assert page.focus_is_visible()
    page.keys(Keys.ENTER)
    page.wait_for("#sequence-p1 .whole")
    assert page.script("return document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keys(Keys.SPACE)
    page.wait(lambda: not page.one("#sequence-p1 .whole").is_displayed())


def test_everything_that_takes_the_focus_shows_it(page, views):
    for address, sign in views.values():
        page.open(address, until=sign)
        seen = set()
        for _ in range(60):
            page.keys(Keys.TAB)
            focused = page.driver.switch_to.active_element
            if focused.tag_name == "body" or focused.id in seen:
                break
            seen.add(focused.id)
            assert page.focus_is_visible(), focused.get_attribute("outerHTML")[:200]
        assert len(seen) > 5


def test_on_a_narrow_screen_one_list_is_seen_at_a_time(page, hamlet):
    page.size(360, 800)
    page.open(f"#/results/{hamlet}", until=".sequence")
    assert page.one("[data-direction=positive]").is_displayed()
    assert not page.one("[data-direction=negative]").is_displayed()
    page.press("Made it less likely")
    assert page.one("[data-direction=negative]").is_displayed()
    assert not page.one("[data-direction=positive]").is_displayed()
    page.size(1200, 800)
    assert page.one("[data-direction=positive]").is_displayed()


def test_likelier_and_less_likely_differ_without_colour(page, hamlet):
    page.open(f"#/results/{hamlet}", until=".sequence")
    lines = page.script(
        "return ['positive', 'negative'].map((name) => getComputedStyle(document.querySelector(`.excerpt mark.${name}`)).borderBottomStyle)")
    assert lines == ["solid", "dotted"]
    signs = page.script(
        "return ['positive', 'negative'].map((name) => document.querySelector(`.sequence.${name} .value`).textContent[0])")
    assert signs == ["+", "\u2212"]


def test_the_whole_page_is_small(page):
    page.open("#/ask", until="form")
    entries = page.script(
        "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".filter((entry) => entry.name.endsWith('/') || entry.name.includes('/dashboard/') || entry.entryType === 'navigation')"
        ".map((entry) => [entry.name, entry.transferSize, entry.decodedBodySize])")
    sent, shown = sum(entry[1] for entry in entries), sum(entry[2] for entry in entries)
    paint = page.script("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    print(f"\n{len(entries)} files, {sent:,} bytes sent, {shown:,} bytes unpacked; first contentful paint after {paint:.0f} ms")
    assert 20_000 < shown < 200_000
