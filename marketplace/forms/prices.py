"""A new version of a list price, as staff type it."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone

from marketplace.models import Price
from marketplace.services.prices import PriceRefused, check_price

if TYPE_CHECKING:
    _PriceModelForm = forms.ModelForm[Price]
else:
    _PriceModelForm = forms.ModelForm


class PriceForm(_PriceModelForm):
    """Amounts are minor units; an empty start means now."""

    class Meta:
        model = Price
        fields = ("kind", "reference", "currency", "amount_minor", "valid_from")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._now = timezone.now()
        if "valid_from" in self.fields:
            self.fields["valid_from"].required = False

    def clean_valid_from(self) -> datetime:
        moment: datetime | None = self.cleaned_data.get("valid_from")
        return moment or self._now

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.errors:
            data = self.cleaned_data
            price = Price(**{**data, "currency_id": data["currency"].pk})
            try:
                check_price(price, now=self._now)
            except PriceRefused as error:
                self.add_error(error.pointer.removeprefix("/"), error.message)
        return cleaned
