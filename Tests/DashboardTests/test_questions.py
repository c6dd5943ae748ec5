"""What of a completion is explained, rather than what, and how far the answer can be trusted."""

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def result_of(server, page):
    page.wait_for_address(r"^#/results/\w+")
    return server.call(f"/v1/jobs/{page.address.split('/')[2].split('?')[0]}/result")


def select(page, name, start, end):
    page.script(
        "const control = document.querySelector(`[name=${arguments[0]}]`);"
        "control.focus(); control.setSelectionRange(arguments[1], arguments[2]);", name, start, end)


def test_a_completion_is_held_against_another(page, server):
    page.open("#/ask?limit=40&top=5&rescore=10", until="form")
    page.fill("prompt", "Paris is the capital of")
    page.fill("completion", " France")
    page.fill("contrast", " Spain")
    page.press("Find the sequences")
    result = result_of(server, page)
    page.wait_for(".sequence")
    assert result["query"]["contrast"]["completion"] == " Spain"
    shown = page.text(".preview")
    assert "rather than Spain" in shown.replace("\n", " ")
    assert f"{abs(result['query']['measurement']):.2f} nats" in shown
    assert "rather than the other" in page.text(".answer")
    headings = [heading.text for heading in page.all(".direction h2")]
    assert len(headings) == 2 and headings[0].startswith("Favoured it") and headings[1].startswith("Favoured the other")
    page.press("Change and ask again")
    page.wait_for("form")
    assert page.one("[name=contrast]").get_attribute("value") == " Spain"


def test_each_of_two_completions_is_asked_for_apart(page, server, probed):
    page.open(f"#/results/{probed}", until=".sequence")
    page.press("Ask for each separately")
    page.wait_for_address(r"^#/compare\?left=\w+\.0&right=\w+\.1")
    page.wait_for("table.joint")
    questions = page.text(".questions")
    assert "William Shakespeare" in questions and "Christopher Marlowe" in questions


def test_a_contrast_is_compared_with_another_result(page, server, hamlet, probed):
    page.open(f"#/compare?left={probed}.0&right={hamlet}.0", until="table.joint")
    assert "rather than Christopher Marlowe" in page.text(".questions").replace("\n", " ")
    assert "a difference of" in page.text(".questions")
    page.press(f"Score all {len(page.all('table.joint tbody tr'))} for both")
    page.wait_for_address(r"^#/compare\?left=\w+\.0&right=\w+\.1")
    page.wait_for("table.joint")
    asked = server.call(f"/v1/jobs/{page.address.split('left=')[1].split('.')[0]}")["request"]
    assert asked[0]["contrast"] == " Christopher Marlowe" and "contrast" not in asked[1]
    assert asked[0]["spans"] == [{"start": 9, "end": 20}]


def test_selected_text_of_the_completion_is_what_is_explained(page, server):
    # An emoji is two of the page's characters and one of the API's.
    page.open("#/ask?limit=30&top=3&rescore=5&outputs=no", until="form")
    page.fill("prompt", "Hamlet is a tragedy written by")
    page.script(
        "const control = document.querySelector('[name=completion]'); control.value = arguments[0];"
        "control.dispatchEvent(new Event('input'));", " \U0001f3ad William Shakespeare")
    select(page, "completion", 12, 23)
    page.press("Explain only the selected text")
    assert page.text(".partly .token") == "Shakespeare"
    assert [mark.text for mark in page.all(".preview mark.said")] == ["Shakespeare"]
    page.press("Find the sequences")
    result = result_of(server, page)
    assert result["query"]["spans"] == [{"start": 11, "end": 22}]
    measured = "".join(token["text"] for token in result["query"]["tokens"] if token.get("measured"))
    assert measured.strip() == "Shakespeare"
    page.wait_for_text("Only the marked part is explained")
    assert [mark.text for mark in page.all(".preview mark.said")] == ["Shakespeare"]


def test_parts_are_dropped_with_the_text_that_they_were_of(page):
    page.open("#/ask?prompt=a+b&completion=+c+d+e&spans=1-2.3-4", until="form")
    assert page.text(".partly .hint").startswith("Explained: c, d, widened")
    page.one("[name=completion]").send_keys("x")
    page.wait(lambda: not page.all(".partly .hint"))
    assert "spans" not in page.address


def test_nothing_selected_is_said_so(page):
    page.open("#/ask?prompt=a+b&completion=+c+d+e", until="form")
    select(page, "completion", 2, 2)
    page.press("Explain only the selected text")
    assert "Select a part" in page.text("form .warning")
    assert page.script("return document.activeElement.name") == "completion"


def test_some_of_what_the_model_says_is_explained_within_all_of_it(page):
    page.open("#/ask", until="form")
    page.fill("prompt", "Hamlet is a tragedy written by William")
    page.press("Let the model continue")
    page.wait_for(".tokens button.token")
    tokens = page.all("button.token")
    tokens[1].click()
    tokens[3].click()
    page.press("Explain only this part")
    completion = page.one("[name=completion]").get_attribute("value")
    assert page.one("[name=prompt]").get_attribute("value") == "Hamlet is a tragedy written by William"
    chosen = page.text(".partly .token")
    assert chosen and chosen in completion and len(completion) > len(chosen)


def test_the_spread_of_influence_is_told(page, server, probed):
    page.size(1600, 1400)
    page.open(f"#/results/{probed}", until=".figures")
    result = server.call(f"/v1/jobs/{probed}/result")
    text = page.text(".figures")
    assert "Of all positive influence, the top tenth (8 sequences) holds" in text
    law = result["distribution"].get("power_law")
    assert bool(law) == bool(page.all(".figures .chart .tail"))
    if law:
        assert f"exponent {law['exponent']:.1f} ± {law['standard_error']:.1f}" in text
    positive = sum(source["positive"] for source in result["sources"])
    largest = max(result["sources"], key=lambda source: source["positive"])
    row = next(row for row in page.all(".figures .shares li") if largest["source"] in row.text)
    assert f"{round(100 * largest['positive'] / positive)}" in row.text and str(largest["sequences"]) in row.text


def test_what_the_prefilter_missed_is_told_with_what_it_should_have_found(page, server, probed):
    page.open(f"#/results/{probed}", until=".missed")
    bias = server.call(f"/v1/jobs/{probed}/result")["prefilter_bias"]
    text = page.text(".missed")
    assert f"Of the {bias['outside']:,} others, 60 drawn at random were also scored" in text
    assert len(page.all(".missed li")) == len(bias["found"])
    for probe in bias["found"]:
        assert probe["id"] in text
    if bias["would_rank"] == 0:
        assert "None of the sample would have been shown here" in text


def test_a_result_without_a_sample_offers_one(page, server, hamlet):
    page.open(f"#/results/{hamlet}", until=".about")
    if not page.one(".about > details").get_attribute("open"):
        page.one(".about > details > summary").click()
    page.press("with a sample of the others")
    page.wait_for("form")
    assert page.one("[name=probe]").get_attribute("value") == "100"


def test_marks_tell_where_it_was_learned_or_what_becomes_likelier(page, server, probed):
    page.open(f"#/results/{probed}?open=p1", until=".whole .text")
    best = server.call(f"/v1/jobs/{probed}/result")["sequences"][0]
    assert not page.all("mark.heat.output")
    assert "predicts the next one" in page.text(".legend")
    first = page.named("What becomes likelier", "button")
    first.send_keys(Keys.ENTER)
    page.wait_for("mark.heat.output")
    assert first.get_attribute("aria-pressed") == "true"
    assert page.named("Where it was learned", "button").get_attribute("aria-pressed") == "false"
    assert "becomes likelier" in page.text(".legend") and "predicts the next one" not in page.text(".legend")
    strongest = max(best["output_tokens"], key=lambda token: abs(token["score"]))
    assert strongest["text"].strip() in page.text("#sequence-p1 table.tokens tbody tr")
    assert page.script("return document.querySelector('#sequence-p1 .text').textContent") == "".join(
        token["text"] for token in best["output_tokens"])
    assert "marks=likelier" in page.address
    page.reload()
    page.wait_for("mark.heat.output")
    page.press("Where it was learned")
    page.wait(lambda: not page.all("mark.heat.output"))
    assert "marks" not in page.address


def test_a_doubtful_score_says_why(page, server):
    job = server.ask(
        "Paris is the capital of", " France", direction="both", top_k=40, candidates={"limit": 200}, rescore=40)
    assert any(sequence["spurious"] for sequence in server.call(f"/v1/jobs/{job}/result")["sequences"])
    page.open(f"#/results/{job}", until="details.flag")
    flag = next(flag for flag in page.all("details.flag") if flag.is_displayed())
    flag.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    page.wait(lambda: "artefacts" in flag.text)


def test_a_refused_contrast_is_shown_at_its_field(page):
    page.expected = ["422"]
    page.open("#/ask?prompt=a&completion=+b&contrast=+b", until="form")
    page.press("Find the sequences")
    page.wait_for("form .warning")
    assert page.script("return document.activeElement.name") == "contrast"
