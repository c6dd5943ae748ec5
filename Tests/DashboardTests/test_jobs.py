"""Jobs that are watched: cancelled, left and come back to, and outlived by their server."""

from selenium.webdriver.common.by import By

LONG = "#/ask?prompt=Hamlet+is+a+tragedy+written+by+William&completion=+Shakespeare&prefilter=all"
SHORTER = "#/ask?prompt=Hamlet+is+a+tragedy+written+by+William&completion=+Shakespeare&limit=400"


def ask(page, address):
    page.open(address, until="form")
    page.press("Find the sequences")
    return page.wait_for_address(r"^#/jobs/(\w+)").group(1)


def test_a_job_is_cancelled(page, server):
    job = ask(page, LONG)
    page.wait_for(".stages progress")
    page.press("Cancel")
    page.wait_for_text("Cancelled.")
    assert server.call(f"/v1/jobs/{job}")["status"] == "cancelled"
    page.wait_for_text("Ask again")
    assert page.text(".joined") == "Hamlet is a tragedy written by William Shakespeare"
    page.press("All jobs")
    page.press("cancelled")
    page.wait_for_address(r"status=cancelled")
    page.wait_for("table.jobs tbody tr")
    # Read at once: the list is made again as jobs go on.
    statuses = page.script("return [...document.querySelectorAll('table.jobs td .status')].map((status) => status.innerText)")
    assert set(statuses) == {"cancelled"}
    page.reload()
    page.wait_for("table.jobs tbody tr")
    assert page.named("cancelled").get_attribute("aria-pressed") == "true"


def test_a_job_is_cancelled_from_the_list(page, server):
    job = ask(page, LONG)
    page.open("#/jobs", until=f"tr[data-job='{job}']")
    page.wait(lambda: page.script(
        "const button = document.querySelector(arguments[0]); button?.click(); return button", f"tr[data-job='{job}'] button"))
    page.wait(lambda: server.call(f"/v1/jobs/{job}")["status"] == "cancelled")
    page.wait(lambda: page.all(f"tr[data-job='{job}'] .status[data-status=cancelled]"))


def test_a_reload_in_the_middle_of_a_job_goes_on_watching(page):
    job = ask(page, SHORTER)
    page.wait_for(".stages progress")
    page.reload()
    page.wait_for_text("Hamlet is a tragedy")
    assert page.address == f"#/jobs/{job}"
    page.wait_for_address(rf"^#/results/{job}$")
    page.wait_for(".sequence")


def test_a_server_that_is_killed_and_started_again_loses_no_job_and_no_page(page, server):
    page.expected = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "503",
                     "ERR_EMPTY_RESPONSE"]
    job = ask(page, SHORTER)
    page.wait_for(".stages progress")
    server.kill()
    page.wait_for_text("The server does not answer")
    server.start()
    page.wait_for_address(rf"^#/results/{job}$")
    page.wait_for(".sequence")
    assert server.call(f"/v1/jobs/{job}")["attempts"] >= 1


def test_a_job_that_is_unknown_says_so(page):
    page.expected = ["404"]
    page.open("#/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV")
    page.wait_for(".problem")
    assert "01ARZ3NDEKTSV4RRFFQ69G5FAV" in page.text(".problem")


def test_a_result_that_is_not_there_yet_is_watched(page, server):
    page.expected = ["409"]
    job = server.call("/v1/influence", {
        "prompt": "Hamlet is a tragedy written by William", "completion": " Shakespeare",
        "candidates": {"prefilter": "all"}})["id"]
    page.open(f"#/results/{job}")
    page.wait_for_address(rf"^#/jobs/{job}")
    page.wait_for(".stages")
    server.call(f"/v1/jobs/{job}", method="DELETE")
    page.wait_for_text("Cancelled.")


def test_a_server_that_wants_a_token_is_given_one(chromium, guarded):
    server, token = guarded
    page = chromium
    page.begin(server.url)
    page.open("#/jobs", until="dialog")
    page.one("dialog input").send_keys("trb_wrong_wrong")
    page.press("Use this token")
    # The one that is refused is asked for again.
    page.wait_for("dialog .warning")
    page.wait(lambda: page.one("dialog input").get_attribute("value") == "trb_wrong_wrong")
    page.one("dialog input").clear()
    page.one("dialog input").send_keys(token)
    page.press("Use this token")
    page.wait_for("table.jobs, .empty")
    job = ask(page, "#/ask?prompt=Paris+is+the+capital+of&completion=+France&limit=20&top=3")
    page.wait_for_address(rf"^#/results/{job}$")
    page.wait_for(".sequence")
    stored = page.script("return [sessionStorage.length, localStorage.length, document.cookie]")
    assert stored[1:] == [0, ""]
    page.press("Token set")
    page.wait_for("dialog")
    page.press("Forget the token")
    page.wait_for("dialog input")
    assert page.script("return sessionStorage.getItem('tributary.token')") is None


NO_EVENTS = """
const real = window.fetch;
window.asked = 0;
window.fetch = (address, options) => {
  if (String(address).endsWith("/events")) {
    return Promise.resolve(new Response(JSON.stringify({ type: "/problems/unknown-route", title: "No such route", status: 404 }),
      { status: 404, headers: { "Content-Type": "application/problem+json" } }));
  }
  if (/\\/v1\\/jobs\\/\\w+$/.test(String(address))) window.asked += 1;
  return real(address, options);
};
"""


def test_where_there_are_no_events_the_job_is_asked_for_again_and_again(page):
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_EVENTS})
    try:
        job = ask(page, SHORTER)
        page.wait_for(".stages progress")
        page.wait_for_address(rf"^#/results/{job}$")
        page.wait_for(".sequence")
        assert page.script("return window.asked") > 2
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


BROKEN_EVENTS = """
const real = window.fetch;
window.broken = 0;
window.fetch = (address, options) => {
  if (!String(address).endsWith("/events")) return real(address, options);
  window.broken += 1;
  // A stream that is cut off after a piece of an event, as a proxy may do.
  return Promise.resolve(new Response(new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("event: status\\nid: 1\\nda"));
      setTimeout(() => controller.error(new TypeError("network error")), 50);
    },
  }), { status: 200, headers: { "Content-Type": "text/event-stream" } }));
};
"""


def test_events_that_break_off_each_time_do_not_hold_up_the_watch(page):
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": BROKEN_EVENTS})
    try:
        job = ask(page, SHORTER)
        page.wait_for_address(rf"^#/results/{job}$")
        page.wait_for(".sequence")
        assert page.script("return window.broken") >= 1
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
