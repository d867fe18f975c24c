"""Report pages as tests see them: parsed, in a browser, and after a change of the study that they are made from."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest


class Page(html.parser.HTMLParser):
    """Attributes, tables and text of a page.

    Attributes:
      attributes: [(tag, name, value)].
      rows: [[text of a cell]] of all tables.
      tables: [(whether it is folded away, its rows)].
      text: outside styles and scripts.
      shown: [piece of text] that is neither folded away nor told by the pointer.
    """

    def __init__(self, path):
        super().__init__()
        self.attributes, self.rows, self.tables, self.text, self.shown, self._open = [], [], [], "", [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag == "table":
            self.tables.append(("details" in self._open, []))
        elif tag == "tr":
            self.rows.append([])
            self.tables[-1][1].append(self.rows[-1])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" in self._open or "script" in self._open:
            return
        self.text += data
        if "title" not in self._open and ("details" not in self._open or "summary" in self._open):
            self.shown.append(data.strip())
        if {"td", "th"} & set(self._open) and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def change(folder, edit):
    """Rewrites results.json after `edit(results)`; returns the folder."""
    path = folder / "results.json"
    results = json.loads(path.read_text())
    edit(results)
    path.write_text(json.dumps(results))
    return folder


def probe(path, body, folder, scheme="light"):
    """What a JavaScript function's body returns in Chromium, once a page has loaded; the test is skipped without one.

    Args:
      path: the page's file.
      body: may use `all(selector)`.
      folder: for the browser's files.
      scheme: "light" or "dark".
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed")
    script = f"""<script>addEventListener('load', () => {{
      const all = selector => [...document.querySelectorAll(selector)];
      document.body.setAttribute('data-probe', JSON.stringify((() => {{ {body} }})()));
    }})</script></body>"""
    head, _, tail = path.read_text(encoding="utf-8").rpartition("</body>")
    probed = folder / "probed.html"
    probed.write_text(head + script + tail, encoding="utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
         f"--blink-settings=preferredColorScheme={int(scheme == 'light')}", f"--user-data-dir={folder / 'profile'}",
         "--window-size=1100,900", "--virtual-time-budget=5000", "--dump-dom", probed.as_uri()],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, done.stderr
    return json.loads(html.unescape(re.search(r'data-probe="([^"]*)"', done.stdout)[1]))
