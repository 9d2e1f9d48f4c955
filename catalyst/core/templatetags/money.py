"""The one place where an amount becomes text on a page.

Source: surfaces.md §4 of the design.
"""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from catalyst.core.money import Money

register = template.Library()

_RIGHT_TO_LEFT_MARK = "\u200f"


@register.simple_tag(name="money")
def money_tag(amount_minor: int, currency: str) -> SafeString:
    """Show an amount of minor units in the page's language, isolated from the direction of the text around it."""
    text = Money(amount_minor, currency).format(get_language() or "en")
    # A mark that ends with a point would lose it to the other side of the amount.
    text += _RIGHT_TO_LEFT_MARK if text.endswith(".") else ""
    return format_html('<bdi dir="ltr"><data value="{}">{}</data></bdi>', amount_minor, text)


@register.simple_tag
def money_text(amount_minor: int, currency: str) -> str:
    """Show an amount in a text without markup, such as the plain part of an e-mail."""
    return Money(amount_minor, currency).format(get_language() or "en")
