"""Writes a report as a single HTML page."""

import base64
import html
import io
import os
from typing import TYPE_CHECKING

from zoo.utils.files import replacing

from ..finding import Finding
from .pictures import SIZE, pictures_of

if TYPE_CHECKING:
    from .report import DiagnosisReport

STYLE = """
.kerascope { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 46rem;
  margin: 0 auto; padding: 1rem; box-sizing: border-box; }
.kerascope h1 { font-size: 1.3rem; line-height: 1.35; margin: .5rem 0; }
.kerascope h2 { font-size: 1.05rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
.kerascope section { border: 1px solid #d5dae0; border-left: 6px solid #9aa5b1;
  border-radius: 6px; padding: .8rem 1rem; margin: 1rem 0; background: #fff; }
.kerascope .error { border-left-color: #c0392b; }
.kerascope .warning { border-left-color: #e08e0b; }
.kerascope .healthy { border-left-color: #2e8b57; }
.kerascope .badge { font-size: .75rem; text-transform: uppercase;
  letter-spacing: .05em; color: #555; }
.kerascope ul, .kerascope ol { margin: .3rem 0 .6rem; padding-left: 1.3rem; }
.kerascope code { font: .85rem/1.45 ui-monospace, monospace; background: #f2f4f6;
  border-radius: 4px; padding: .1rem .3rem; overflow-wrap: anywhere; }
.kerascope pre { background: #f2f4f6; border-radius: 4px; padding: .6rem;
  overflow-x: auto; margin: .3rem 0; white-space: pre-wrap; }
.kerascope pre code { background: none; padding: 0; }
.kerascope img { max-width: 100%; height: auto; }
.kerascope .small { color: #555; font-size: .85rem; }
"""


def write_page(report: "DiagnosisReport", path: str | os.PathLike) -> None:
    """Writes a report as an HTML page that needs no other files.

    Args:
        report: Report to write.
        path: File to write, in an existing folder.
    """
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Diagnosis: {html.escape(_title(report))}</title></head>\n"
        f'<body style="margin: 0; background: #fafbfc">{body_of(report)}</body>'
        "</html>\n"
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def body_of(report: "DiagnosisReport") -> str:
    """Returns the report as HTML that can be embedded, such as in a notebook."""
    drawable = pictures_of(report.facts)
    verdict = html.escape(report.verdict)
    seen = "".join(f"<li>{html.escape(one)}</li>" for one in report.looked_at)
    unseen = "".join(f"<li>{html.escape(one)}</li>" for one in report.not_seen)
    kind = "healthy" if report.is_healthy else report.findings[0].severity
    parts = [
        f"<style>{STYLE}</style>",
        f'<div class="kerascope"><section class="{kind}"><h1>{verdict}</h1>',
        f'<div class="small">Looked at:<ul>{seen}</ul>',
        f"Not seen:<ul>{unseen}</ul>" if unseen else "",
        "</div></section>",
    ]
    shown: set[str] = set()
    for one in report.findings:
        picture = ""
        if one.picture in drawable and one.picture not in shown:
            shown.add(one.picture)
            picture = _picture(drawable[one.picture], one.picture)
        parts.append(_section(one, picture))
    if not shown:
        names = [name for name in ("loss", "ratio") if name in drawable]
        parts += [_picture(drawable[name], name) for name in names]
    return "\n".join([*parts, "</div>"])


def _section(one: Finding, picture: str) -> str:
    evidence = "".join(f"<li>{html.escape(str(each))}</li>" for each in one.evidence)
    first, *others = one.advice
    advice = "".join(f"<li>{html.escape(each)}</li>" for each in others)
    return (
        f'<section class="{one.severity}"><div class="badge">{one.severity}</div>'
        f"<h2>{html.escape(one.cause)}: {html.escape(one.where)}</h2>"
        f"<div>{html.escape(one.summary)}</div><ul>{evidence}</ul>{picture}"
        f"<div>What to do:</div><pre><code>{html.escape(first)}</code></pre>"
        f"<ul>{advice}</ul>"
        f'<div class="small">See {_link(one.reference)}</div></section>'
    )


def _link(reference: str) -> str:
    text = html.escape(reference)
    return f'<a href="{text}">{text}</a>' if text.startswith("https://") else text


def _picture(draw, name: str) -> str:
    """Returns a picture as an image that is part of the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    draw(figure.subplots())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'


def _title(report: "DiagnosisReport") -> str:
    return report.facts.model.name if report.facts is not None else "model"
