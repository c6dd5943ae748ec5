"""Texts that mean harm, or are merely unlike what one expects, are shown as they are."""

import json

import pytest

MARKUP = (
    "<img src=x onerror=\"window.harmed=1\"><script>window.harmed=1</script><svg onload=window.harmed=1>"
    "</p></main><h1>Not ours</h1><a href=\"javascript:window.harmed=1\">here</a> ${window.harmed=1} {{1+1}} &lt;b&gt;")
RIGHT_TO_LEFT = "هاملت مأساة كتبها ويليام شكسبير في أوائل القرن السابع عشر، وهي أطول مسرحياته"
UNBROKEN = "W" * 900
CONTROLS = "before\u202eafter\u0007\ufeff\nline"


@pytest.fixture(scope="module")
def hostile(server):
    """A result over sequences that mean harm."""
    documents = [
        {"id": "hostile/<b>markup</b>", "text": MARKUP, "source": "<i>source</i>",
         "metadata": {"title": MARKUP, "url": "javascript:window.harmed=1", "language": "\"><script>", "<u>": {"a": ["<b>"]}}},
        {"id": "hostile/right-to-left", "text": RIGHT_TO_LEFT, "metadata": {"title": RIGHT_TO_LEFT, "language": "ar"}},
        {"id": "hostile/" + "unbroken" * 12, "text": UNBROKEN, "source": "s" * 120, "metadata": {"title": "T" * 400}},
        {"id": "hostile/controls", "text": CONTROLS, "metadata": {"": None}},
    ]
    server.call("/v1/sequences", "\n".join(json.dumps(document) for document in documents), kind="application/x-ndjson")
    return server.ask(
        MARKUP[:40] + UNBROKEN[:40], MARKUP[:24], direction="both", top_k=50,
        candidates={"ids": [document["id"] for document in documents]})


@pytest.mark.parametrize("width", [360, 1200])
def test_markup_is_shown_and_never_run(page, hostile, width):
    page.size(width, 900)
    for side in ["p", "n"]:
        names = ",".join(f"{side}{rank}" for rank in range(1, 9))
        page.open(f"#/results/{hostile}?open={names}", until=".lists")
        page.wait(lambda: page.all(".sequence .whole .text"))
        assert page.script("return window.harmed") is None
        assert page.script("return document.querySelectorAll('main img, main script, iframe, object, [onerror], [onload]').length") == 0
        assert page.script("return document.querySelectorAll('h1').length") == 1
        assert page.script("return [...document.links].filter((link) => !/^(https?:|#)/.test(link.getAttribute('href')) && !link.getAttribute('href').startsWith('/')).length") == 0
        assert "<script>window.harmed=1</script>" in page.script("return document.querySelector('main').textContent")
        assert page.overflow() <= 0


def test_right_to_left_text_runs_from_right_to_left(page, hostile):
    page.open(f"#/results/{hostile}?open=" + ",".join(f"{side}{rank}" for side in "pn" for rank in range(1, 9)))
    page.wait_for(".sequence .whole .text")
    direction = page.script(
        "const text = [...document.querySelectorAll('.whole .text')].find((text) => text.textContent.includes('هاملت'));"
        "return [getComputedStyle(text).direction, text.lang]")
    assert direction == ["rtl", "ar"]


def test_hostile_questions_and_addresses_do_no_harm(page, hostile):
    page.expected = ["422", "404"]
    for address in [
        "#/ask?prompt=" + "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&completion=%3Cscript%3E", "#/jobs?status=%3Cb%3E",
        "#/results/%3Cimg%20src=x%3E", "#/results/" + hostile + "?open=%22%5D&find=%5B(&source=%3Cb%3E",
        "#/compare?left=%3Cb%3E.0&right=x", "#/constructor", "#/__proto__/x", "#/%", "#//", "#/jobs/..%2F..%2Freadyz",
    ]:
        page.open(address, until="main h1")
        page.wait(lambda: page.text().strip() != "")
        assert page.script("return document.querySelectorAll('main img, main script').length") == 0
        assert page.overflow() <= 0


BIG = """
const real = window.fetch;
const sequence = (index) => ({
  rank: index < 5000 ? index + 1 : index - 4999, id: `made-${index}`, text: `Sequence ${index} of many`, source: `source-${index % 7}`,
  score: index < 5000 ? 5000 - index : index - 10000, nats_per_copy: 0.001, spurious: index % 3 === 0,
  tokens: Array.from({ length: 40 }, (_, place) => ({ text: ` token${place}`, score: Math.sin(index * place) })),
  layers: Array.from({ length: 24 }, (_, layer) => ({ name: `model.layers.${layer}.mlp.up_proj`, score: layer })),
});
window.fetch = (address, options) => String(address).includes("/v1/jobs/BIG/result")
  ? Promise.resolve(new Response(JSON.stringify({
      query: { prompt: "a", completion: "b", tokens: [{ id: 1, text: "a" }, { id: 2, text: "b", log_probability: -1 }],
        completion_start: 1, completion_starts_inside_token: false, log_probability: -1 },
      timings: { gradients: 1, candidates: 1, sweep: 1, rescore: 1, batch_size: 1 },
      candidates: { selection: "all", considered: 10000, corpus_sequences: 10000 },
      sequences: Array.from({ length: 10000 }, (_, index) => sequence(index)),
    }), { status: 200, headers: { "Content-Type": "application/json" } }))
  : real(address, options);
window.longest = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration); })
  .observe({ type: "longtask", buffered: true });
"""


def test_ten_thousand_sequences_do_not_hold_up_the_page(page):
    page.expected = ["404"]
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": BIG})
    try:
        page.open("#/results/BIG", until=".sequence")
        assert len(page.all(".sequence")) == 100
        opening = page.script("return window.longest")
        page.script("window.longest = 0")
        page.press("Show 100 more")
        assert len(page.all(".sequence")) == 200
        page.one("input[type=search]").send_keys("sequence 777")
        matching = sum("777" in str(index) for index in range(10_000))
        page.wait(lambda: len(page.all(".sequence")) == matching)
        print(f"\nten thousand sequences: longest task {opening:.0f} ms to open, {page.script('return window.longest'):.0f} ms to go on")
        page.open("#/results/BIG?open=p4321", until="#sequence-p4321 .whole")
        assert len(page.all(".sequence")) == 100
        assert page.all("#sequence-p4320") and not page.all("#sequence-p1")
        page.press("Show the previous 100")
        assert len(page.all(".sequence")) == 200
        page.one("[data-direction=positive] input[type=number]").send_keys("3000\n")
        page.wait_for("#sequence-p3000")
        assert page.script("return document.activeElement.closest('.sequence').id") == "sequence-p3000"
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
