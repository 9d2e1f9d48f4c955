"""The peer's one view: a whole purchase with a voucher, by django-oscar's own classes, in one request.

Kinder than a shop would be: one request for what takes five pages there, no forms, no templates, no payment, no e-mail.
"""

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from oscar.core.loading import get_class, get_model  # type: ignore[import-not-found]

Basket = get_model("basket", "Basket")
Product = get_model("catalogue", "Product")
Voucher = get_model("voucher", "Voucher")
Applicator = get_class("offer.applicator", "Applicator")
NoShippingRequired = get_class("shipping.methods", "NoShippingRequired")
OrderCreator = get_class("order.utils", "OrderCreator")
OrderNumberGenerator = get_class("order.utils", "OrderNumberGenerator")
OrderTotalCalculator = get_class("checkout.calculators", "OrderTotalCalculator")
Selector = get_class("partner.strategy", "Selector")


def ready(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("ready")


def place(request: HttpRequest) -> JsonResponse:
    """Buy two products with the voucher of the body, as the person whose session it is."""
    if not request.user.is_authenticated:
        return JsonResponse({"code": "not_authenticated"}, status=401)
    code = json.loads(request.body)["voucher"]
    order = _place(request, request.user, code)
    lines = [{"title": line.title, "total": str(line.line_price_incl_tax)} for line in order.lines.all()]
    answer = {"number": order.number, "total": str(order.total_incl_tax), "lines": lines, "voucher_code": code}
    return JsonResponse(answer, status=201)


@transaction.atomic
def _place(request: HttpRequest, user: Any, code: str) -> Any:
    basket = Basket.objects.create(owner=user)
    basket.strategy = Selector().strategy(request=request, user=user)
    for product in Product.objects.order_by("pk")[:2]:
        basket.add_product(product, 1)
    voucher = Voucher.objects.get(code=code)
    available, message = voucher.is_available_for_basket(basket)
    if not voucher.is_active() or not available:
        raise ValueError(message)
    basket.vouchers.add(voucher)
    Applicator().apply(basket, user, request)
    shipping = NoShippingRequired()
    charge = shipping.calculate(basket)
    order = OrderCreator().place_order(
        basket=basket,
        total=OrderTotalCalculator().calculate(basket, charge),
        shipping_method=shipping,
        shipping_charge=charge,
        user=user,
        order_number=OrderNumberGenerator().order_number(basket),
        request=request,
    )
    basket.submit()
    return order


urlpatterns = [path("ready/", ready), path("place/", place)]
