"""The client for Python, as a server gives it away, against that server."""

import http.server
import importlib.util
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
import xml.etree.ElementTree
from contextlib import redirect_stderr
from itertools import islice
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "DashboardTests"))

from server import Server  # noqa: E402

QUESTION = ("Hamlet is a tragedy written by William", " Shakespeare")
PROGRAM, WORKSPACE, SCRATCH = (os.environ[name] for name in ("TRIBUTARY", "WORKSPACE", "SCRATCH"))


def started(log, workspace=WORKSPACE, environment=None):
    return Server(PROGRAM, workspace, f"{SCRATCH}/{log}.log", environment).start()


def setUpModule():
    global server, client, tributary
    server = started("server")
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    unittest.addModuleCleanup(server.stop)
    file = pathlib.Path(folder.name) / "tributary.py"
    urllib.request.urlretrieve(f"{server.url}/client.py", file)
    specification = importlib.util.spec_from_file_location("tributary", file)
    client = sys.modules["tributary"] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(client)
    tributary = client.Tributary(server.url)


def long_job():
    """Many questions over the whole corpus: long enough to be met while it runs."""
    return tributary.submit([
        {"prompt": QUESTION[0], "completion": f" {word}", "candidates": {"prefilter": "all"}, "rank": "full"}
        for word in ("Shakespeare", "Marlowe", "Jonson", "Kyd", "Webster", "Ford") * 4
    ])


class Asking(unittest.TestCase):
    def test_an_explanation_ranks_what_made_it_likelier_and_then_what_made_it_less_so(self):
        result = tributary.explain(*QUESTION, limit=30, rescore=10, top=4, candidates="all")
        scores = [sequence["score"] for sequence in result]
        likelier = [score for score in scores if score > 0]
        self.assertEqual(len(likelier), 4)
        self.assertEqual(scores, sorted(likelier, reverse=True) + sorted(score for score in scores if score < 0))
        self.assertEqual((result.prompt, result.completion), QUESTION)
        self.assertLess(result.log_probability, 0)
        self.assertIn("Hamlet", result[0]["text"])
        self.assertIn(result[0]["id"][:20], repr(result))

    def test_the_table_is_a_data_frame_where_there_is_pandas_and_a_list_of_dicts_elsewhere(self):
        result = tributary.explain(*QUESTION, limit=30, rescore=10, top=3)
        with mock.patch.dict(sys.modules, {"pandas": None}):
            rows = result.table()
        self.assertIsInstance(rows, list)
        self.assertEqual(list(rows[0])[:7], ["rank", "score", "nats_per_copy", "spurious", "id", "source", "text"])
        self.assertEqual(rows[0]["title"], result[0]["metadata"]["title"])
        try:
            import pandas
        except ImportError:
            self.skipTest("pandas is not installed")
        frame = result.table()
        self.assertIsInstance(frame, pandas.DataFrame)
        self.assertEqual(list(frame["id"]), [sequence["id"] for sequence in result])

    def test_tokens_are_the_text_of_the_sequence_with_the_strongest_marked(self):
        result = tributary.explain(*QUESTION, limit=30, rescore=10, top=1)
        picture = result.tokens(0)
        shown = "".join(xml.etree.ElementTree.fromstring(picture.html).find("p").itertext())
        self.assertEqual(shown, result[0]["text"])
        strongest = max(result[0]["tokens"], key=lambda token: abs(token["score"]))
        self.assertIn(f"*{strongest['text'].strip()}*", repr(picture))

    def test_layers_are_drawn_a_bar_each_and_add_up(self):
        result = tributary.explain(*QUESTION, limit=30, rescore=10, top=2, direction="positive")
        for index in (0, None):
            picture = result.layers(index)
            drawing = xml.etree.ElementTree.fromstring(picture.html.replace("<br>", "<br/>"))
            bars = list(drawing.iter("{http://www.w3.org/2000/svg}rect"))
            self.assertEqual(len(bars), len(result[0]["layers"]))
            scores = sum(s["score"] for s in (result.sequences if index is None else [result[0]]))
            listed = sum(float(line.split()[0]) for line in repr(picture).splitlines())
            self.assertAlmostEqual(listed, scores, delta=2e-3 * abs(scores))

    def test_what_was_not_asked_for_is_said_so(self):
        result = tributary.explain(*QUESTION, limit=30, rescore=10, top=1, tokens=False, layers=False)
        for missing in (result.tokens, result.layers):
            with self.assertRaises(client.TributaryError):
                missing(0)
        self.assertIn(result[0]["id"].split(":")[-1], result._repr_html_())

    def test_texts_of_ones_own_are_scored_and_never_become_markup(self):
        hostile = "<script>alert('William')</script> & <b>Shakespeare"
        result = tributary.score(["Hamlet was written by Shakespeare.", hostile], *QUESTION)
        self.assertEqual(sorted(sequence["index"] for sequence in result), [0, 1])
        place = next(index for index, sequence in enumerate(result) if sequence["index"] == 1)
        for shown in (result._repr_html_(), result.tokens(place).html):
            self.assertNotIn("<script", shown)
            self.assertNotIn("<b>Shakespeare", shown)

    def test_a_contrast_and_a_part_of_the_completion_are_explained(self):
        completion = " Shakespeare, I say"
        result = tributary.explain(
            QUESTION[0], completion, contrast=" Marlowe", spans="Shakespeare", limit=30, rescore=5, top=3, output_tokens=True)
        query = result.document["query"]
        self.assertEqual(query["spans"], [{"start": 1, "end": 12}])
        self.assertEqual(result.contrast, " Marlowe")
        measured = sum(token["log_probability"] for token in query["tokens"] if token.get("measured"))
        self.assertAlmostEqual(result.measurement, measured - query["contrast"]["log_probability"], places=3)
        self.assertIn("rather than [ Marlowe]", repr(result))
        page = xml.etree.ElementTree.fromstring(f"<div>{result._repr_html_().replace('<br>', '<br/>')}</div>")
        self.assertIn("Shakespeare", [bold.text for bold in page.iter("b")])
        first = result[0]
        self.assertAlmostEqual(
            sum(token["score"] for token in first["output_tokens"]), first["score"], delta=abs(first["score"]) * 1e-3)
        self.assertIn("becomes likelier", result.output_tokens(0).html)
        with self.assertRaisesRegex(client.TributaryError, "not part of the completion"):
            tributary.explain(QUESTION[0], completion, spans=["Shakespeare", "Marlowe"])
        with self.assertRaises(client.Problem) as refusal:
            tributary.explain(QUESTION[0], completion, spans=(3, 99))
        self.assertEqual(refusal.exception.field, "spans")

    def test_what_may_have_been_missed_and_how_influence_is_spread_is_told(self):
        result = tributary.explain(*QUESTION, limit=60, rescore=5, top=3, probe=40)
        missed = result.missed()
        self.assertEqual((missed["sampled"], missed["outside"]), (40, 90))
        self.assertIn("drawn at random", result.spread())
        self.assertEqual(sum(share["sequences"] for share in result.distribution["shares"]), 6)
        with mock.patch.dict(sys.modules, {"pandas": None}):
            sources = result.sources()
        self.assertEqual(sum(source["sequences"] for source in sources), 60)
        self.assertIsNone(tributary.explain(*QUESTION, limit=20, rescore=0, top=1).missed())

    def test_scores_of_texts_are_given_at_once_in_their_order(self):
        texts = ["Hamlet is by William Shakespeare.", {"id": "mill", "text": "The mill stands by the river."}]
        scores = tributary.scores(*QUESTION, texts, tokens=True)
        self.assertEqual([score["index"] for score in scores], [0, 1])
        self.assertEqual([score.get("id") for score in scores], [None, "mill"])
        self.assertGreater(scores[0]["score"], abs(scores[1]["score"]))
        same = {sequence["index"]: sequence["score"] for sequence in tributary.score([texts[0], texts[1]["text"]], *QUESTION)}
        for score in scores:
            self.assertAlmostEqual(score["score"], same[score["index"]], delta=1e-4 * scores[0]["score"])
        self.assertAlmostEqual(
            sum(token["score"] for token in scores[0]["tokens"]), scores[0]["score"], delta=1e-3 * scores[0]["score"])

    def test_a_behaviour_has_one_ranking_and_says_what_each_part_was_worth(self):
        pairs = [QUESTION, ("Macbeth is a tragedy written by William", " Shakespeare")]
        third = {"prompt": "Paris is the capital of", "completion": " France", "contrast": " Spain", "weight": 2}
        result = tributary.explain(measurement=[*pairs, third], limit=30, rescore=10, top=3)
        self.assertEqual((result.prompt, result.completion), ("", ""))
        with mock.patch.dict(sys.modules, {"pandas": None}):
            parts = result.parts()
        self.assertEqual(sorted(part["prompt"] for part in parts), sorted([pairs[0][0], pairs[1][0], third["prompt"]]))
        self.assertAlmostEqual(sum(part["share"] for part in parts), 1, places=4)
        self.assertEqual([part["share"] for part in parts], sorted((part["share"] for part in parts), reverse=True))
        values = [
            part["weight"] * (part["log_probability"] - part.get("contrast_log_probability", 0)) for part in parts]
        self.assertAlmostEqual(result.measurement, sum(values) / 4, places=3)
        self.assertEqual(result.document["query"]["combine"], "mean")
        self.assertGreater(result.document["method"]["rank"], 0)
        self.assertIn("and 2 others", repr(result))
        self.assertIn("and 2 others", result._repr_html_())
        total = tributary.explain(measurement=pairs, combine="sum", limit=30, rescore=10, top=3, direction="positive")
        self.assertIn("' Shakespeare' and 1 other>", repr(next(tributary.jobs("succeeded"))))
        single = [tributary.explain(*pair, limit=30).log_probability for pair in pairs]
        self.assertAlmostEqual(total.measurement, sum(single), places=3)

    def test_all_scores_are_a_table_and_an_array_in_the_order_of_the_corpus(self):
        result = tributary.explain(*QUESTION, candidates="all", rescore=5, top=3, all_scores=True)
        with mock.patch.dict(sys.modules, {"pandas": None}):
            rows = result.all_scores()
        self.assertEqual([row["id"] for row in rows], [sequence["id"] for sequence in tributary.sequences()])
        self.assertGreaterEqual(sum(row["rescored"] for row in rows), 5)
        scores = {row["id"]: row["score"] for row in rows}
        for sequence in result:
            self.assertEqual(scores[sequence["id"]], sequence["score"])
        with self.assertRaises(client.Problem) as refusal:
            tributary.explain(*QUESTION, limit=10).all_scores()
        self.assertEqual(refusal.exception.name, "scores-not-kept")
        try:
            import numpy
        except ImportError:
            self.skipTest("NumPy is not installed")
        ids, array = result.score_array()
        self.assertEqual(ids, list(scores))
        numpy.testing.assert_array_equal(array, list(scores.values()))

    def test_what_cannot_be_asked_together_is_refused_before_it_is_sent(self):
        chat = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "I."}]
        for arguments in ({}, {"prompt": "a"}, {"messages": chat, "measurement": [QUESTION]},
                          {"prompt": "a", "completion": " b", "messages": chat},
                          {"measurement": [QUESTION], "contrast": " c"}):
            with self.assertRaises(client.TributaryError) as refusal:
                tributary.explain(**arguments)
            self.assertNotIsInstance(refusal.exception, client.Problem)

    def test_a_chat_without_a_template_is_refused_with_what_to_do(self):
        self.assertFalse(tributary.model().get("chat_template"))
        with self.assertRaises(client.Problem) as refusal:
            tributary.explain(messages=[{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "I."}])
        self.assertEqual(refusal.exception.field, "messages")
        chat = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "I."}]
        for part in (chat, {"messages": chat, "contrast": "You.", "weight": 2}):
            with self.assertRaises(client.Problem) as refusal:
                tributary.explain(measurement=[QUESTION, part], drop_turns=True)
            self.assertEqual(refusal.exception.field, "measurement[1].messages")
        self.assertIn("chat_template.jinja", refusal.exception.detail)

    def test_the_model_goes_on(self):
        self.assertEqual(tributary.complete("Hamlet is", max_tokens=4), tributary.complete("Hamlet is", max_tokens=4))


class Problems(unittest.TestCase):
    def test_a_refusal_carries_its_type_its_field_and_what_to_do(self):
        with self.assertRaises(client.Problem) as caught:
            tributary.explain("Hamlet is", "")
        problem = caught.exception
        self.assertEqual((problem.name, problem.status, problem.field), ("unusable-field", 422, "completion"))
        self.assertEqual(str(problem), problem.detail)
        self.assertIn("at least one character", problem.detail)
        self.assertTrue(problem.request_id)

    def test_a_failed_query_of_a_list_is_a_problem_in_its_place(self):
        good = {"prompt": QUESTION[0], "completion": QUESTION[1], "top_k": 2, "candidates": {"limit": 30}}
        results = tributary.submit([good, {**good, "completion": " word" * 400}]).wait()
        self.assertIsInstance(results[0], client.Result)
        self.assertIsInstance(results[1], client.Problem)
        self.assertEqual(results[1].field, "completion")

    def test_an_unknown_job_is_not_found(self):
        with self.assertRaises(client.Problem) as caught:
            tributary.job("../nothing")
        self.assertEqual(caught.exception.status, 404)

    def test_a_server_that_is_not_there_is_told_of(self):
        with self.assertRaisesRegex(client.Unreachable, "does not answer"):
            client.Tributary("http://127.0.0.1:9", patience=0).explain(*QUESTION)

    def test_a_redirection_does_not_take_the_token_elsewhere(self):
        asked = []

        class Elsewhere(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.path, self.headers.get("Authorization")))
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as redirecting:
            threading.Thread(target=redirecting.serve_forever, daemon=True).start()
            with self.assertRaises(client.Problem) as caught:
                client.Tributary(f"http://127.0.0.1:{redirecting.server_port}", token="trb_x").model()
            redirecting.shutdown()
        self.assertEqual(caught.exception.status, 302)
        self.assertEqual(asked, [("/v1/model", "Bearer trb_x")])


class Jobs(unittest.TestCase):
    def test_a_request_sent_again_with_its_key_is_the_same_job(self):
        query = {"prompt": QUESTION[0], "completion": QUESTION[1], "candidates": {"limit": 30}}
        self.assertEqual(tributary.submit(query, key="once").id, tributary.submit(query, key="once").id)
        self.assertNotEqual(tributary.submit(query).id, tributary.submit(query).id)

    def test_jobs_are_listed_with_what_they_ask(self):
        job = tributary.submit({"prompt": "A prompt", "completion": " of mine"})
        job.wait()
        listed = next(islice(tributary.jobs(), 1))
        self.assertEqual(listed.id, job.id)
        self.assertIn("'A prompt' ' of mine'", repr(listed))
        self.assertTrue(all(job.status == "succeeded" for job in islice(tributary.jobs("succeeded"), 3)))

    def test_an_interruption_cancels_the_job_on_the_server(self):
        job = long_job()
        with mock.patch.object(client._Display, "show", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                job.wait()
        self.assertEqual(tributary.job(job.id).status, "cancelled")
        with self.assertRaises(client.Problem) as caught:
            job.wait()
        self.assertEqual(caught.exception.name, "job-cancelled")

    def test_a_time_out_leaves_the_job_alone(self):
        job = long_job()
        with self.assertRaises(TimeoutError):
            job.wait(timeout=0)
        self.assertIn(tributary.job(job.id).status, ("queued", "running"))
        job.cancel()

    def test_where_there_are_no_events_the_job_is_asked_for(self):
        answered = client.Tributary._open
        problems = [client.Problem({"status": 404}), client.Unreachable("cut off")]
        for problem in problems:
            def without_events(self, path, *arguments, problem=problem, **options):
                if path.endswith("/events"):
                    raise problem
                return answered(self, path, *arguments, **options)

            with mock.patch.object(client.Tributary, "_open", without_events):
                self.assertEqual(len(tributary.explain(*QUESTION, limit=30, rescore=10, top=2, direction="positive")), 2)

    def test_a_job_is_waited_for_while_the_server_is_killed_and_started_again(self):
        job = long_job()
        news = []
        tell = client._Display.show

        def show(display, status, event):
            if not news:
                server.kill()
                threading.Timer(1, server.start).start()
            news.append(event)
            tell(display, status, event)

        with mock.patch.object(client._Display, "show", show):
            results = job.wait()
        self.assertEqual(len(results), 24)
        self.assertTrue(all(isinstance(result, client.Result) for result in results))

    def test_progress_is_shown_on_terminals_and_nowhere_else(self):
        for wanted, is_shown in ((True, True), (False, False), (None, False)):
            output = io.StringIO()
            with redirect_stderr(output):
                tributary.submit({"prompt": QUESTION[0], "completion": QUESTION[1], "top_k": 1}).wait(progress=wanted)
            self.assertEqual(bool(output.getvalue()), is_shown)


class Corpus(unittest.TestCase):
    def test_texts_and_records_are_added_once_and_found(self):
        records = ["A heron stands in the mill race.", {"id": "heron-2", "text": "Two herons, one weir.", "source": "notes"}]
        first = tributary.add(records, batch=1)
        again = tributary.add(iter(records))
        self.assertEqual((first["added"], first["duplicates"]), (2, 0))
        self.assertEqual((again["added"], again["duplicates"]), (0, 2))
        self.assertEqual(tributary.search("herons weir", 1)[0]["sequence"]["id"], "heron-2")
        self.assertEqual(tributary.sequence("heron-2")["source"], "notes")
        self.assertEqual([sequence["id"] for sequence in tributary.sequences("notes")], ["heron-2"])
        result = tributary.explain(*QUESTION, limit=30, rescore=10, candidates=["heron-2"])
        self.assertEqual([sequence["id"] for sequence in result], ["heron-2"])

    def test_rows_carry_loss_on_their_completions_and_rows_without_loss_are_counted(self):
        prompt, completion = "Who keeps the sluice?", " The miller of the lower weir."
        added = tributary.add([
            {"id": "pair", "prompt": prompt, "completion": completion},
            {"id": "marked", "text": "Once there was a sluice.", "loss": [{"start": 15, "end": 24}]},
            {"id": "ids", "input_ids": [40, 41, 42], "labels": [-100, 41, 42]},
            {"id": "none", "input_ids": [50, 51, 52], "labels": [-100, -100, -100]},
            {"id": "late", "prompt": "word " * 400, "completion": " the end"},
        ])
        self.assertEqual((added["added"], added["without_loss"], added["cut_before_loss"]), (3, 1, 1))
        pair = tributary.sequence("pair")
        self.assertEqual("".join(pair["text"][span["start"] : span["end"]] for span in pair["loss"]), completion)
        self.assertNotIn("loss", tributary.sequence(next(tributary.sequences())["id"]))
        scored = tributary.explain(*QUESTION, candidates=["pair"])[0]
        self.assertEqual(scored["loss"], pair["loss"])

    def test_the_whole_corpus_is_read_page_by_page(self):
        expected = tributary.model()["corpus"]["sequences"]
        self.assertGreater(expected, 100)
        self.assertEqual(sum(1 for _ in tributary.sequences()), expected)


class Access(unittest.TestCase):
    def test_a_token_is_sent_where_one_is_wanted(self):
        with tempfile.TemporaryDirectory() as folder:
            tokens = f"{folder}/tokens.json"
            environment = {
                "TRIBUTARY__AUTHENTICATION__REQUIRED": "always", "TRIBUTARY__AUTHENTICATION__TOKENS_FILE": tokens}
            made = subprocess.run(
                [PROGRAM, "token", "create", "--tokens-file", tokens, "--scope", "read", "--name", "tests"],
                check=True, capture_output=True, text=True)
            token = next(word for word in made.stdout.split() if word.startswith("trb_"))
            workspace = f"{folder}/workspace"
            subprocess.run(["cp", "-r", WORKSPACE, workspace], check=True)
            guarded = started("guarded", workspace, environment)
            try:
                with self.assertRaises(client.Problem) as caught:
                    client.Tributary(guarded.url).model()
                self.assertEqual(caught.exception.name, "token-missing")
                self.assertIn("corpus", client.Tributary(guarded.url, token).model())
                with mock.patch.dict(os.environ, {"TRIBUTARY_TOKEN": token}):
                    reader = client.Tributary(guarded.url)
                self.assertIn("corpus", reader.model())
                with self.assertRaises(client.Problem) as caught:
                    reader.explain(*QUESTION)
                self.assertEqual(caught.exception.name, "scope-too-small")
            finally:
                guarded.stop()


if __name__ == "__main__":
    unittest.main()
