"""Writes a report as a single HTML page."""

import base64
import html
import io
import os
import re
from typing import TYPE_CHECKING

from zoo.utils.files import replacing

from ..finding import SEVERITIES, Finding
from .page_style import STYLE
from .pictures import SIZE, Picture, draw_picture, pictures_of

if TYPE_CHECKING:
    from .report import DiagnosisReport

KINDS = ("healthy", "unknown", *SEVERITIES)  # first words of verdicts
RESOLUTION = 160  # dots per inch, so that pictures are sharp on a phone
ALWAYS = ("loss", "ratio", "gradients", "activations")  # shown even without a finding
LINK = re.compile(r"https?://\S+")
CODE = re.compile(r"`([^`]+)`")


def write_page(report: "DiagnosisReport", path: str | os.PathLike) -> None:
    """Writes a report as an HTML page that needs no other files.

    Args:
        report: Report to write.
        path: File to write, in an existing folder.
    """
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>Diagnosis of {html.escape(_name(report))}</title></head>\n"
        f'<body style="margin: 0; background: #f4f6f8">{body_of(report)}</body>'
        "</html>\n"
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def body_of(report: "DiagnosisReport") -> str:
    """Returns the report as HTML that can be embedded, such as in a notebook."""
    pictures = pictures_of(report.facts)
    parts = [f'<style>{STYLE}</style>\n<div class="kerascope">', _summary(report)]
    shown: dict[str, int] = {}
    for number, one in enumerate(report.findings, start=1):
        picture = ""
        if one.picture in shown:
            other = shown[one.picture]
            text = f'<a href="#finding-{other}">finding {other}</a>'
            picture = f'<p class="small">See the picture of {text}.</p>'
        elif one.picture in pictures:
            shown[one.picture] = number
            picture = _figure(pictures[one.picture], one.where)
        parts.append(_section(one, number, picture))
    rest = [name for name in ALWAYS if name in pictures and name not in shown]
    if rest:
        title = "The rest of what was recorded" if shown else "What was recorded"
        figures = "".join(_figure(pictures[name]) for name in rest)
        parts.append(f"<section><h2>{title}</h2>{figures}</section>")
    return "\n".join([*parts, "</div>"])


def _summary(report: "DiagnosisReport") -> str:
    """Returns the verdict, the list of findings, and what was and was not seen."""
    kind, _, sentence = report.verdict.partition(": ")
    if kind not in KINDS:
        kind, sentence = "unknown", report.verdict
    sentence = sentence[:1].upper() + sentence[1:]
    findings = "".join(
        f'<li><a href="#finding-{number}">{one.severity}: {_text(one.summary)}</a></li>'
        for number, one in enumerate(report.findings, start=1)
    )
    contents = f"<ol>{findings}</ol>" if len(report.findings) > 1 else ""
    looked_at = [one for one in report.looked_at if one not in report.verdict]
    return (
        f'<section class="{kind}"><p class="small">Diagnosis of '
        f"<b>{html.escape(_name(report))}</b></p>"
        f'<h1><span class="badge">{kind}</span> {_text(sentence)}</h1>{contents}'
        f'<div class="small">{_listed("Looked at", looked_at)}'
        f"{_listed('Not seen', report.not_seen)}</div></section>"
    )


def _section(one: Finding, number: int, picture: str) -> str:
    first, *others = one.advice
    return (
        f'<section class="{one.severity}" id="finding-{number}"><p class="small">'
        f'<span class="badge">{one.severity}</span> finding {number}: '
        f"<code>{one.cause}</code></p>"
        f"<h2>{_text(one.summary)}</h2><p><b>Where:</b> {_text(one.where)}</p>"
        f"<h3>How we know</h3>{_items(map(str, one.evidence))}{picture}"
        f"<h3>What to do</h3><pre><code>{html.escape(first)}</code></pre>"
        f"{_items(others)}"
        f'<p class="small">Read more: {_linked(one.reference)}</p></section>'
    )


def _text(text: str) -> str:
    """Returns text as HTML, in which parts between backticks are code."""
    return CODE.sub(r"<code>\1</code>", html.escape(text))


def _listed(title: str, texts) -> str:
    return f"{title}:{_items(texts)}" if texts else ""


def _items(texts) -> str:
    items = "".join(f"<li>{_text(one)}</li>" for one in texts)
    return f"<ul>{items}</ul>" if items else ""


def _linked(reference: str) -> str:
    """Returns a reference as HTML in which addresses are links."""
    return LINK.sub(
        lambda found: f'<a href="{found[0]}">{found[0]}</a>', html.escape(reference)
    )


def _figure(picture: Picture, where: str = "") -> str:
    """Returns a picture as an image that is part of the page, with its caption."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    draw_picture(figure.subplots(), picture, where)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<figure><img alt="{html.escape(picture.title)}" '
        f'src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
    )


def _name(report: "DiagnosisReport") -> str:
    return report.facts.model.name if report.facts is not None else "a model"
