"""From a question to its answer, and back to it."""

import json
import re
import subprocess
import sys

from selenium.webdriver.common.by import By


def test_a_question_is_asked_watched_and_answered(page):
    page.open("#/ask", until="form")
    page.fill("prompt", "Hamlet is a tragedy written by William")
    page.fill("completion", " Shakespeare")
    assert page.text(".preview .joined") == "Hamlet is a tragedy written by William Shakespeare"
    page.press("More options")
    page.fill("limit", "120")
    page.press("Find the sequences")
    page.wait_for_address(r"^#/jobs/\w+")
    page.wait_for_address(r"^#/results/\w+$")
    page.wait_for(".sequence")
    assert "Shakespeare" in page.text(".ranking")
    answer = page.text(".answer")
    assert answer.startswith("Most of all, ") and "times" not in answer
    assert re.search(r"[\d.]+\s%", answer) or "trust the order" in page.text(".answer + .hint")
    assert page.all("[data-direction=positive] mark.heat.positive")
    assert page.all("[data-direction=negative] mark.heat.negative")
    assert "120 of" in page.text(".about")


def test_no_sentence_promises_what_a_linear_prediction_cannot_know(page):
    page.open("#/ask", until="form")
    wrong = page.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        (async () => {
          const base = document.querySelector("script[type=module]").src.replace(/[^/]*$/, "");
          const { effect, explained, largest, sentence } = await import(`${base}effect.js`);
          const wrong = [];
          const check = (isRight, ...values) => { if (!isRight) wrong.push(values.join(" ")); };
          for (let trial = 0; trial < 20000; trial += 1) {
            const nats = (Math.random() < 0.5 ? -1 : 1) * 10 ** (8 * Math.random() - 6);
            const whole = -(10 ** (8 * Math.random() - 6));
            const contrast = Math.random() < 0.3 ? { completion: "b" } : undefined;
            const estimator = Math.random() < 0.1 ? "identity" : "ekfac";
            const what = explained({ query: { log_probability: whole, contrast }, method: { estimator } });
            const words = effect(nats, what);
            const isKnown = estimator === "ekfac" && Math.abs(nats) <= largest && (contrast || whole + nats <= 0);
            check((words !== null) === Boolean(isKnown), nats, whole, words);
            const all = `${words ?? ""} ${sentence(nats, what)}`;
            check(!/times|NaN|Infinity|infinit/.test(all), nats, whole, all);
            const percent = /about ([\\d.]+)/.exec(words ?? "")?.[1];
            if (percent !== undefined) {
              check(Math.abs(Number(percent) - 100 * Math.abs(Math.expm1(nats))) <= 0.5, nats, words);
              check(contrast || nats < 0 || Math.exp(whole) * (1 + Number(percent) / 100) <= 1.006, nats, whole, words);
            }
          }
          return wrong.slice(0, 5);
        })().then(done, (error) => done([String(error)]));
        """)
    assert wrong == []


def test_a_server_with_an_index_can_look_among_it(page, indexed):
    page.begin(indexed.url)
    page.open("#/ask", until="form")
    page.wait_for("select[name=prefilter] option[value=index]")
    page.fill("prompt", "Hamlet is a tragedy written by William")
    page.fill("completion", " Shakespeare")
    page.choose("prefilter", "index")
    page.press("More options")
    page.fill("limit", "4")
    page.press("Find the sequences")
    page.wait_for_address(r"^#/results/\w+$")
    page.wait_for(".sequence")
    assert "compressed gradients" in page.text(".scope")
    page.expect_no_complaints()


def test_a_server_without_an_index_offers_none(page):
    page.open("#/ask", until="form")
    page.wait_for("select[name=prefilter]")
    assert [option.get_attribute("value") for option in page.all("select[name=prefilter] option")] == ["tfidf", "all"]


def test_curvature_may_be_left_out(page):
    page.open("#/ask", until="form")
    page.fill("prompt", "Hamlet is a tragedy written by William")
    page.fill("completion", " Shakespeare")
    page.press("More options")
    page.fill("limit", "40")
    page.choose("estimator", "identity")
    page.press("Find the sequences")
    page.wait_for_address(r"^#/results/\w+$")
    page.wait_for(".sequence")
    page.wait_for_text("plain inner products of gradients")


def test_a_result_keeps_its_place_over_a_reload(page, hamlet):
    page.open(f"#/results/{hamlet}", until=".sequence")
    page.wait_for("#sequence-p2 button").click()
    page.wait_for("#sequence-p2 .whole")
    assert page.address.endswith("open=p2")
    page.script("scrollTo(0, 400)")
    page.reload()
    page.wait_for("#sequence-p2 .whole .text")
    page.wait(lambda: page.script("return scrollY") == 400)
    assert not page.one("#sequence-p1 .whole").is_displayed()


def test_a_sequence_shows_its_document_its_tokens_and_its_layers(page, hamlet, server):
    page.open(f"#/results/{hamlet}?open=p1", until=".whole")
    best = server.call(f"/v1/jobs/{hamlet}/result")["sequences"][0]
    shown = page.script("return document.querySelector('#sequence-p1 .text').textContent")
    assert shown == "".join(token["text"] for token in best["tokens"])
    strongest = max(best["tokens"], key=lambda token: abs(token["score"]))
    assert strongest["text"].strip() in page.text("#sequence-p1 table.tokens tbody tr")
    layers = page.all("#sequence-p1 .layers rect")
    assert len(layers) == len(best["layers"])
    page.one("#sequence-p1").find_element(By.XPATH, ".//button[text()='The whole document']").click()
    page.wait_for("#sequence-p1 .piece")
    assert best["text"] in page.text("#sequence-p1 .pieces")


def test_lists_are_narrowed_down_by_words_and_source(page, hamlet, server):
    page.open(f"#/results/{hamlet}", until=".sequence")
    page.one("input[type=search]").send_keys("zzz-nothing-has-this")
    page.wait(lambda: not page.all(".sequence"))
    page.open(f"#/results/{hamlet}?find=shakespeare", until=".sequence")
    sequences = server.call(f"/v1/jobs/{hamlet}/result")["sequences"]
    expected = sum("shakespeare" in json.dumps([s["id"], s["text"], s.get("metadata", {}).get("title")]).lower() for s in sequences)
    assert len(page.all(".sequence")) == expected > 0


def test_the_figures_tell_the_distribution_the_sources_and_the_layers(page, hamlet, server):
    page.size(1600, 1200)
    page.open(f"#/results/{hamlet}", until=".figures")
    result = server.call(f"/v1/jobs/{hamlet}/result")
    bars = sum(count > 0 for count in result["distribution"]["counts"])
    assert len(page.all(".figures .chart .bar")) == bars
    assert "120 sequences" in page.text(".figures")
    sources = {sequence["source"] for sequence in result["sequences"] if sequence["score"] > 0}
    assert sources <= set(page.text(".shares").split("\n"))


def test_the_model_continues_and_a_span_is_chosen(page):
    page.open("#/ask", until="form")
    page.fill("prompt", "Hamlet is a tragedy written by William")
    page.press("Let the model continue")
    page.wait_for(".tokens button.token")
    tokens = page.all("button.token")
    assert len(tokens) == 16
    tokens[1].click()
    tokens[3].click()
    assert [token.get_attribute("aria-pressed") for token in page.all("button.token")[:5]] == [
        "false", "true", "true", "true", "false"]
    page.press("Explain this")
    completion = page.one("[name=completion]").get_attribute("value")
    prompt = page.one("[name=prompt]").get_attribute("value")
    assert prompt.startswith("Hamlet is a tragedy written by William") and len(prompt) > 38
    assert completion and page.text(".preview .joined") == prompt + completion


def test_the_commands_shown_give_an_answer(page, server):
    page.open("#/ask?prompt=It's+a+%22test%22+%C3%A9&completion=+of+things&limit=20&top=3", until="form")
    page.press("The same request from a shell or a notebook")
    # The commands are written when the browser tells that it has opened them.
    page.wait_for("figure.code pre")
    curl, python = [code.get_attribute("textContent") for code in page.all("figure.code pre")]
    answered = subprocess.run(["bash", "-c", curl], check=True, capture_output=True, text=True).stdout
    assert json.loads(answered)["query"]["prompt"] == "It's a \"test\" é"
    printed = subprocess.run([sys.executable, "-c", python], check=True, capture_output=True, text=True).stdout
    assert len(printed.splitlines()) == len(json.loads(answered)["sequences"])


def test_a_refusal_is_shown_at_its_field(page):
    page.expected = ["422"]
    page.open("#/ask?prompt=a&completion=+b&top=many", until="form")
    page.press("Find the sequences")
    page.wait_for("form .warning")
    assert page.one("[name=top]").get_attribute("aria-invalid") == "true"
    assert page.script("return document.activeElement.name") == "top"
    assert "top_k" in page.text("form .warning")


def test_two_results_are_compared_and_what_is_unknown_is_scored(page, server, hamlet):
    other = server.ask(
        "Macbeth is a tragedy written by William", " Shakespeare", direction="both", top_k=15,
        candidates={"prefilter": "tfidf", "limit": 120})
    page.open(f"#/compare?left={hamlet}.0&right={other}.0", until="table.joint")
    ids = [{s["id"] for s in server.call(f"/v1/jobs/{job}/result")["sequences"]} for job in (hamlet, other)]
    assert len(page.all("table.joint tbody tr")) == len(ids[0] | ids[1])
    assert f"{len(ids[0] & ids[1])} of the {len(ids[0] | ids[1])} sequences" in page.text(".answer")
    page.press(f"Score all {len(ids[0] | ids[1])} for both")
    page.wait_for_address(r"^#/compare\?left=\w+\.0&right=\w+\.1")
    page.wait_for("table.joint")
    assert "\u2013" not in page.text("table.joint")


def test_the_state_tells_the_model_and_the_load(page, server):
    page.open("#/state", until=".facts")
    model = server.call("/v1/model")
    page.wait_for_text(f"{model['parameters']:,}")
    page.wait_for_text(f"{model['corpus']['sequences']:,}")
    page.wait_for_text("Running for")
    page.wait_for_text("ready")


def test_a_text_of_ones_own_is_scored_against_a_question(page, server, hamlet):
    page.open(f"#/results/{hamlet}", until=".sequence")
    page.press("Score your own text")
    page.wait_for_address(rf"^#/compare\?left={hamlet}.0&own=1")
    page.wait(lambda: page.script("return document.activeElement.name") == "own")
    best = server.call(f"/v1/jobs/{hamlet}/result")["sequences"][0]
    page.script("document.activeElement.value = arguments[0]", best["text"])
    page.press("Score it")
    page.wait_for(".tried-text mark.heat")
    # The text is the corpus's: it scores what it scored there.
    assert f"{best['score']:,.0f}" in page.text(".tried-text strong")
    assert page.text(".tried-text .text") == best["text"]
    page.fill("own", "Hamlet was written by Marlowe.")
    page.press("Score it")
    page.wait(lambda: len(page.all(".tried-text")) == 2)
    assert page.all(".tried-text .text")[0].text == "Hamlet was written by Marlowe."
    page.press("Open as a result")
    page.wait_for(".sequence")
    assert "The 1 text that came with the question" in page.text(".about")
    assert page.text(".sequence h3") == "Text 1"


def test_a_text_that_cannot_be_scored_is_refused_where_it_was_written(page, hamlet):
    page.open(f"#/compare?left={hamlet}.0&own=1", until="textarea[name=own]")
    page.script("document.querySelector('[name=own]').value = 'Hamlet '.repeat(300)")
    page.press("Score it")
    page.wait_for(".own .problem")
    assert "at most 128" in page.text(".own .problem")
    assert page.one("[name=own]").get_attribute("aria-invalid") == "true"


def test_results_saved_as_files_are_compared(page, server, hamlet, tmp_path):
    other = server.ask("Macbeth is a tragedy written by William", " Shakespeare", top_k=8, candidates={"limit": 60})
    files = []
    for job in (hamlet, other):
        files.append(tmp_path / f"{job}.json")
        files[-1].write_text(json.dumps(server.call(f"/v1/jobs/{job}/result")))
    page.open("#/compare", until="input[type=file]")
    for index, file in enumerate(files):
        page.wait(lambda: len(page.all("input[type=file]")) == 2)
        page.all("input[type=file]")[index].send_keys(str(file))
    page.wait_for("table.joint")
    ids = [{s["id"] for s in server.call(f"/v1/jobs/{job}/result")["sequences"]} for job in (hamlet, other)]
    assert len(page.all("table.joint tbody tr")) == len(ids[0] | ids[1])
    assert f"{len(ids[0] & ids[1])} of the {len(ids[0] | ids[1])} sequences" in page.text(".answer")
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{\"sequences\": 7}")
    page.all("input[type=file]")[0].send_keys(str(wrong))
    page.wait_for(".pickers .warning")
    page.wait_for_text("wrong.json is not a result", ".pickers")
    assert page.all("table.joint tbody tr")
