"""The hosted checkout page, whole in one answer: no script, no outside asset, only Stripe's test cards."""

from html import escape

from emulators.payments.stripe.currencies import shown
from emulators.payments.stripe.errors import Json

STYLE = """
:root { color-scheme: light dark; --ink: #1a1f36; --soft: #5b6478; --paper: #fff; --line: #e3e8ee; --accent: #635bff;
  --on-accent: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f3f4f8; --soft: #a4abbd; --paper: #171b2b; --line: #2e3550; --accent: #8f89ff;
    --on-accent: #12142a; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: color-mix(in srgb, var(--paper) 92%, var(--accent)); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.75rem; box-shadow: 0 12px 40px rgb(0 0 0 / 10%); }
.badge { display: inline-block; padding: .1rem .6rem; border-radius: 99px; background: #ffd47a; color: #5c3d00;
  font-size: .75rem; font-weight: 600; letter-spacing: .04em; }
h1 { margin: .75rem 0 0; font-size: 2rem; }
ul { list-style: none; margin: 1.25rem 0; padding: 0; border-top: 1px solid var(--line); }
li { display: flex; justify-content: space-between; gap: 1rem; padding: .65rem 0;
  border-bottom: 1px solid var(--line); }
li small { color: var(--soft); }
form { margin: .6rem 0; }
button, .cancel { width: 100%; padding: .75rem; border-radius: 8px; border: 1px solid var(--line); font: inherit;
  background: transparent; color: var(--ink); cursor: pointer; display: block; text-align: center;
  text-decoration: none; }
button.pay { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
button:focus-visible, .cancel:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.error { padding: .6rem .8rem; border-radius: 8px; background: #fdecef; color: #a01a35; }
footer { margin-top: 1.25rem; color: var(--soft); font-size: .8rem; }
"""


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<span class="badge">SANDBOX</span>{content}'
        "<footer>A stand-in for Stripe Checkout. No money moves and no card is kept.</footer></main></body></html>"
    )


def checkout(session: Json, items: list[Json], error: str | None) -> str:
    rows = "".join(
        f"<li><span>{escape(item['description'])}<br><small>{item['quantity']} × "
        f"{shown(item['price']['unit_amount'], item['currency'])}</small></span>"
        f"<span>{shown(item['amount_total'], item['currency'])}</span></li>"
        for item in items
    )
    total = shown(session["amount_total"], session["currency"])
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    action = escape(f"/checkout/{session['id']}/pay")
    cancel = f'<a class="cancel" href="{escape(session["cancel_url"])}">Cancel</a>' if session["cancel_url"] else ""
    content = (
        f"<h1>{total}</h1><ul>{rows}</ul>{alert}"
        f"{_button(action, '4242424242424242', 'Pay', 'pay')}"
        f"{_button(action, 'declined', 'Pay with a card that is declined', 'decline')}{cancel}"
    )
    return _page(f"Pay {total}", content)


def _button(action: str, card: str, label: str, style: str) -> str:
    return (
        f'<form method="post" action="{action}"><input type="hidden" name="card" value="{card}">'
        f'<button class="{style}" type="submit">{label}</button></form>'
    )


def notice(title: str, detail: str, link: str | None = None) -> str:
    onward = f'<a class="cancel" href="{escape(link)}">Continue</a>' if link else ""
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(detail)}</p>{onward}")
