"""A page of a real browser, and what was seen of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

WINDOW = {"width": 1280, "height": 900}


@dataclass
class Seen:
    """What a page did."""

    problems: list[str] = field(default_factory=list)
    """Errors and warnings in the console, errors of scripts, dialogs, answers of 400 and more."""
    hosts: set[str] = field(default_factory=set)
    """Where it asked for anything, with the port; empty for files."""


@contextlib.contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[tuple[Page, Seen]]:
    """A page in a new window.

    Args:
        browser: which all tests of a file share.
        options: those of Playwright's `new_context`.
    """
    seen = Seen()

    def dismissed(dialog: Dialog) -> None:
        seen.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context = browser.new_context(**{"viewport": WINDOW, **options})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("console", lambda said: seen.problems.append(f"{said.type}: {said.text}") if said.type != "log" else None)
    page.on("pageerror", lambda error: seen.problems.append(f"script: {error}"))
    page.on("dialog", dismissed)
    page.on("request", lambda sent: seen.hosts.add(urlsplit(sent.url).netloc))
    page.on("response", lambda got: seen.problems.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
    try:
        yield page, seen
    finally:
        context.close()


LOW_CONTRAST = """
() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a), a: 1,
  });
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.a > 0) layers.push(colour);
      if (colour.a === 1) break;
    }
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const page = dark ? { r: 18, g: 18, b: 18, a: 1 } : { r: 255, g: 255, b: 255, a: 1 };
    return layers.reduceRight((below, top) => over(top, below), page);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let num = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, noscript, option, title")) continue;
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (element.closest(".unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const under = behind(element);
    let opacity = 1;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const ink = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const text = over({ ...ink, a: ink.a * opacity }, under);
    const [high, low] = [light(text), light(under)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    num += 1;
    const what = `${walker.currentNode.data.trim().slice(0, 40)} (${element.className.baseVal ?? element.className})`;
    if (ratio < least) found.push(`${ratio.toFixed(2)} < ${least}: ${what}`);
  }
  return { num, found: [...new Set(found)] };
}
"""
"""Texts of a page whose contrast to what is behind them is below WCAG's level AA (success criterion 1.4.3), and the
number of all texts."""
