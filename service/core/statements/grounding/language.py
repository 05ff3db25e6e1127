"""Detects texts in another language than English, from their letters and function words.

No trained language identifier is used: notes such as "cld bk, rebk Wed 8-12" differ too much from its training texts, and it
would add a numeric library to the service's container.
"""

import re

_LETTERS = re.compile(r"[^\W\d_]+")
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Japanese", re.compile(r"[\u3040-\u30ff]")),
    ("Korean", re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")),
    ("Chinese", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("Arabic script", re.compile(r"[\u0600-\u06ff\u0750-\u077f]")),
    ("Cyrillic script", re.compile(r"[\u0400-\u052f]")),
    ("another script", re.compile(r"[\u0370-\u03ff\u0530-\u05ff\u0900-\u0e7f\u10a0-\u10ff]")),
    ("Vietnamese", re.compile("[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.I)),
)
# Without words that are also English ("no", "die", "war", "an", "on", "me").
_WORDS: dict[str, frozenset[str]] = {
    "Spanish": frozenset(
        "que los las del por para con una su sus mi se es está esta estoy pero porque como muy más ya hoy ayer hay fue "
        "sin hasta cuando dónde cómo qué usted ustedes nos le lo al yo tengo tiene quiero puede pueden gracias servicio "
        "cuenta factura saldo pago pague llame luz semana días mes este desde también dice señor señora sr sra el la de".split()
    ),
    "Portuguese": frozenset(
        "que não uma para com por mas você vocês está estou meu minha obrigado obrigada conta fatura muito isso ele ela "
        "dos das nos nas foi são tem tenho quero mais até ontem hoje também pagamento luz do da de".split()
    ),
    "French": frozenset(
        "le la les des une est et je vous nous pas que qui dans pour avec sur mon ma mes votre notre mais ce cette il "
        "elle ne au aux du été suis avez merci bonjour facture compte aussi depuis jusqu très de".split()
    ),
    "German": frozenset(
        "der das und ist nicht ich sie wir ein eine einen dem den mit für auf zu von bei nach seit dass sind haben habe "
        "hat wird wurde kein keine bitte danke rechnung konto strom mein meine ihr ihre auch noch aber wenn".split()
    ),
    "Italian": frozenset(
        "che non il gli una di per con sono è mio mia grazie bolletta conto anche ma perché questo della delle nella "
        "ho hanno stato molto più oggi ieri".split()
    ),
}
_NAME_PARTS = frozenset("de la el los las del da do dos das di san le les der von".split())
_ENGLISH = frozenset(
    "the a an and or of to in is was were be been for on with at by from not no it he she they we you i his her their "
    "our my your this that has have had will would can could but as if so me him them us do does did are am about "
    "until til after before when who cust acct pmt pd svc appt req reqd told said asked wants adv".split()
)
_SAMPLE_CHARS = 2000
_LEAST_WEIGHT = 2.0


def language_of(text: str) -> str | None:
    """Return the name of the language of ``text`` if it is clearly not English, else None; reads the first 2,000 characters.

    The parts of a name such as "Maria de la Cruz" count half. A mixed text counts as English unless the other language has
    more than twice as many function words.
    """
    words = _LETTERS.findall(text[:_SAMPLE_CHARS].lower())
    if not words:
        return None
    if not text.isascii():
        letters = "".join(words)
        for name, script in _SCRIPTS:
            if len(script.findall(letters)) * 8 >= len(letters):
                return name
    english = sum(word in _ENGLISH for word in words)
    weights = {
        name: sum(0.5 if word in _NAME_PARTS else 1.0 for word in words if word in known)
        for name, known in _WORDS.items()
    }
    weights["Spanish"] += sum(text[:_SAMPLE_CHARS].count(mark) for mark in "ñ¿¡")
    name = max(weights, key=lambda key: weights[key])
    plain = weights[name] >= _LEAST_WEIGHT and weights[name] > 2 * english and weights[name] * 6 >= len(words)
    return name if plain else None
