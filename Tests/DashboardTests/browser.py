"""Chromium, with the few things that the tests do in it."""

import os
import re

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from selenium.webdriver.support.ui import WebDriverWait

# A busy machine takes its time, and no test is to fail for that.
PATIENCE = float(os.environ.get("PATIENCE", 600))


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(PATIENCE)
        self.base = ""
        # What the browser may complain of in the test at hand.
        self.expected = []

    def begin(self, base):
        self.base, self.expected = base, []
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": base, "storageTypes": "all"})
        self.media("light")
        self.size(1200, 900)
        self.driver.get_log("browser")

    def quit(self):
        self.driver.quit()

    # Where to look from

    def size(self, width, height):
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def media(self, scheme):
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def open(self, address, until=None):
        # A change of the part behind "#" alone does not load the page.
        self.driver.get("about:blank")
        self.driver.get(f"{self.base}/{address}")
        if until:
            self.wait_for(until)

    def reload(self):
        self.driver.refresh()

    @property
    def address(self):
        return self.driver.execute_script("return location.hash")

    # What there is to see

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector="main"):
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def script(self, source, *arguments):
        return self.driver.execute_script(source, *arguments)

    def wait(self, condition):
        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05).until(lambda _: condition())

    def wait_for(self, selector):
        def displayed():
            try:
                return next((found for found in self.all(selector) if found.is_displayed()), None)
            except StaleElementReferenceException:
                return None

        return self.wait(displayed)

    def wait_for_text(self, text, selector="main"):
        self.wait(lambda: text in self.text(selector))

    def wait_for_address(self, pattern):
        return self.wait(lambda: re.search(pattern, self.address))

    # What to do

    def named(self, name, tag="button, a, summary"):
        """The control that says something, in so many words."""
        for element in self.all(tag):
            if element.is_displayed() and name in (element.text, element.get_attribute("aria-label")):
                return element
        raise AssertionError(f"nothing is called {name!r}; there are {[e.text for e in self.all(tag)]}")

    def press(self, name, tag="button, a, summary"):
        self.named(name, tag).click()

    def fill(self, name, text):
        control = self.one(f"[name={name}]")
        control.clear()
        control.send_keys(text)

    def choose(self, name, value):
        """Chooses an option of the select element of a name."""
        Select(self.wait_for(f"select[name={name}]")).select_by_value(value)

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, accepts, limit=120):
        """Presses the tabulator key until what has the focus is accepted, as someone without a mouse would."""
        for _ in range(limit):
            self.keys(Keys.TAB)
            focused = self.driver.switch_to.active_element
            if accepts(focused):
                return focused
        raise AssertionError("the tabulator key does not come to it")

    def focus_is_visible(self):
        return self.script(
            "const style = getComputedStyle(document.activeElement);"
            "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2")

    def overflow(self):
        """How much wider than the window the page is."""
        return self.script("return document.documentElement.scrollWidth - innerWidth")

    def expect_no_complaints(self):
        complaints = [
            entry["message"] for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE" and not any(part in entry["message"] for part in self.expected)]
        assert complaints == []
