"""The frame of every public page."""

from html import escape

from contacts.domain.pages.languages import DIRECTIONS, Language

STYLE = """
*{box-sizing:border-box}
body{font:1.0625rem/1.7 system-ui,"Segoe UI",Tahoma,"Noto Sans Arabic","Noto Naskh Arabic",sans-serif;margin:0;
background:#f4f4f1;color:#1c1c1a;overflow-wrap:break-word}
main{max-width:34rem;margin:8vh auto;padding:2rem;background:#fff;border-radius:12px;box-shadow:0 1px 6px #0002}
@media(max-width:36rem){main{margin:0;min-height:100vh;padding:1.25rem;border-radius:0;box-shadow:none}}
h1{font-size:1.45rem;line-height:1.4;margin:0 0 .75rem}
legend{font-weight:600;padding:0;float:inline-start;inline-size:100%}
legend+*{clear:both}
p{margin:.5rem 0}
form{margin:0}
fieldset{border:0;border-block-start:1px solid #d6d6cf;margin:1.25rem 0 0;padding:1rem 0 0;min-width:0}
label,.label{display:block;font-weight:600}
.choice{display:flex;gap:.7rem;align-items:flex-start;padding:.45rem 0}
.choice label{font-weight:400}
.choice input{inline-size:1.3rem;block-size:1.3rem;margin:.3rem 0 0;flex:none;accent-color:#1c4f3a}
.field{margin-block-start:1rem}
.field>input,.field>select{font:inherit;color:inherit;inline-size:100%;min-block-size:2.75rem;padding:.45rem .7rem;
border:1px solid #6b6b63;border-radius:8px;background:#fff}
.field>[aria-invalid=true]{border:2px solid #a3181d}
.hint{color:#55554e;font-weight:400;font-size:.95rem}
.wrong{color:#a3181d;font-size:.95rem;margin:.25rem 0 0}
.said{border-inline-start:4px solid #1c4f3a;background:#eef4f0;padding:.6rem .9rem;margin:0 0 1rem}
.alert{border-inline-start:4px solid #a3181d;background:#fbeeee;padding:.6rem .9rem;margin:0 0 1rem}
button{font:inherit;display:block;inline-size:100%;min-block-size:2.75rem;margin-block-start:1.25rem;
padding:.6rem 1rem;border-radius:8px;border:1px solid #1c4f3a;background:#1c4f3a;color:#fff;cursor:pointer}
button.second{background:#fff;color:#1c4f3a}
:focus-visible{outline:3px solid #1a5fb4;outline-offset:2px}
.trap{position:absolute;inset-inline-start:0;inset-block-start:0;inline-size:1px;block-size:1px;overflow:hidden;
clip-path:inset(50%)}
"""

_PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>{title}</title><style>{css}</style></head><body><main>
<h1{own}>{title}</h1>
{body}
</main></body></html>
"""


def frame(language: Language, title: str, body: str, *, own: bool = False) -> str:
    """A page; `body` is HTML. `own`: the title is the workspace's, in whatever direction it is written."""
    return _PAGE.format(
        language=language,
        direction=DIRECTIONS[language],
        title=escape(title),
        own=' dir="auto"' if own else "",
        css=STYLE,
        body=body,
    )


def said(text: str) -> str:
    """What was done, read out by screen readers."""
    return f'<p class="said" role="status">{escape(text)}</p>'


def paragraph(text: str, *, own: bool = False) -> str:
    """A sentence of ours, or one of the workspace's own."""
    return f"<p{' dir=auto' if own else ''}>{escape(text)}</p>"


def button(text: str, name: str = "", value: str = "", *, second: bool = False) -> str:
    """A button that sends its form."""
    named = f' name="{name}" value="{value}"' if name else ""
    return f"<button{' class=second' if second else ''}{named}>{escape(text)}</button>"


def checkbox(id_: str, name: str, value: str, label: str, *, checked: bool, own: bool = False) -> str:
    """One box with its label."""
    return (
        f'<div class="choice"><input type="checkbox" id="{id_}" name="{name}" value="{escape(value)}"'
        f'{" checked" if checked else ""}><label for="{id_}"{" dir=auto" if own else ""}>{escape(label)}</label></div>'
    )
