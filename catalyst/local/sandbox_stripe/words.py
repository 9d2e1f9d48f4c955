"""The words of the card page in English and Arabic.

A table and not gettext: this page runs in a process of its own without Django's settings, and Stripe's real page is
not ours to translate either.
"""

_ENGLISH = {
    "after_discount": "Discount",
    "asynchronous": "Pay later (asynchronous method)",
    "back": "Go back",
    "cancel": "Cancel and go back",
    "complete_text": "This payment was already made. Nothing is charged twice.",
    "complete_title": "Already paid",
    "decline": "Pay, but the card is declined",
    "declined": "The card was declined. Nothing was charged; try again or go back.",
    "due": "Total due now",
    "every_day": "every day",
    "every_week": "every week",
    "every_month": "every month",
    "every_year": "every year",
    "expired_text": "This page was open for too long or was cancelled. Nothing was charged.",
    "expired_title": "This payment page has expired",
    "item": "Item",
    "missing_text": "The address may be incomplete.",
    "missing_title": "No such payment",
    "other_language": "العربية",
    "pay": "Pay {total}",
    "portal_accept": "Let the card work",
    "portal_broken": "The card is declined from now on.",
    "portal_cards": "Saved cards",
    "portal_decline": "Let the card be declined from now on",
    "portal_none": "No card is saved.",
    "portal_text": "Renewals are collected from the card that the shop chose, without anybody at the page.",
    "portal_title": "Your cards",
    "portal_works": "The card works.",
    "price": "Price",
    "problem": "There is a problem",
    "quantity": "Quantity",
    "sandbox": "Sandbox: no money moves",
    "sandbox_text": "This page stands in for the card processor on this machine. There is no card and no charge.",
    "save": "Save this card",
    "save_decline": "Save, but the card is declined",
    "save_text": "The card is kept for the renewals. Nothing is charged now.",
    "save_title": "Save your card",
    "saved_text": "This card was already saved. Nothing was charged.",
    "saved_title": "Already saved",
    "subtotal": "Subtotal",
    "title": "Review and pay",
}

_ARABIC = {
    "after_discount": "الخصم",
    "asynchronous": "الدفع لاحقًا (طريقة غير فورية)",
    "back": "رجوع",
    "cancel": "إلغاء والرجوع",
    "complete_text": "تم هذا الدفع من قبل. لن يُخصم المبلغ مرتين.",
    "complete_title": "تم الدفع مسبقًا",
    "decline": "ادفع، مع رفض البطاقة",
    "declined": "رُفضت البطاقة. لم يُخصم أي مبلغ؛ حاول مرة أخرى أو ارجع.",
    "due": "المبلغ المستحق الآن",
    "every_day": "كل يوم",
    "every_week": "كل أسبوع",
    "every_month": "كل شهر",
    "every_year": "كل سنة",
    "expired_text": "بقيت هذه الصفحة مفتوحة مدة طويلة أو أُلغيت. لم يُخصم أي مبلغ.",
    "expired_title": "انتهت صلاحية صفحة الدفع",
    "item": "البند",
    "missing_text": "قد يكون العنوان غير مكتمل.",
    "missing_title": "لا يوجد دفع بهذا العنوان",
    "other_language": "English",
    "pay": "ادفع {total}",
    "portal_accept": "اجعل البطاقة تعمل",
    "portal_broken": "ستُرفض البطاقة من الآن.",
    "portal_cards": "البطاقات المحفوظة",
    "portal_decline": "اجعل البطاقة تُرفض من الآن",
    "portal_none": "لا توجد بطاقة محفوظة.",
    "portal_text": "تُحصَّل التجديدات من البطاقة التي اختارها المتجر، دون حضور أحد على هذه الصفحة.",
    "portal_title": "بطاقاتك",
    "portal_works": "البطاقة تعمل.",
    "price": "السعر",
    "problem": "هناك مشكلة",
    "quantity": "الكمية",
    "sandbox": "بيئة تجريبية: لا تنتقل أي أموال",
    "sandbox_text": "تقوم هذه الصفحة مقام معالج البطاقات على هذا الجهاز. لا بطاقة ولا خصم.",
    "save": "احفظ هذه البطاقة",
    "save_decline": "احفظ، مع رفض البطاقة",
    "save_text": "تُحفظ البطاقة للتجديدات. لن يُخصم أي مبلغ الآن.",
    "save_title": "احفظ بطاقتك",
    "saved_text": "حُفظت هذه البطاقة من قبل. لم يُخصم أي مبلغ.",
    "saved_title": "تم الحفظ مسبقًا",
    "subtotal": "المجموع الفرعي",
    "title": "راجع وادفع",
}

LANGUAGES = {"en": _ENGLISH, "ar": _ARABIC}


def choose_language(wanted: str, session_locale: str | None, accept_language: str) -> str:
    """Return ``en`` or ``ar``: what the reader asked for, then what the session says, then what the browser prefers."""
    if wanted in LANGUAGES:
        return wanted
    if session_locale and session_locale != "auto":
        return "ar" if session_locale.startswith("ar") else "en"
    weighted = []
    for place, part in enumerate(accept_language.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        weighted.append((-_quality(quality), place, tag.split("-")[0].lower()))
    return next((tag for _, _, tag in sorted(weighted) if tag in LANGUAGES), "en")


def _quality(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
