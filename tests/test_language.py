"""Language detection: English is recognised however short, foreign text is not taken for it."""

import pytest

from framing.text import language

ENGLISH = (
    "The harbour bridge will close on Monday for repairs that are expected to last a year, the "
    "port authority said. Drivers will be sent round by the northern tunnel, which carries twice "
    "the traffic it was built for. The council votes on the toll in May, and a spokesman said "
    "that the figures speak for themselves."
)
HEADLINES = [
    "Harbour bridge to close for a year over rusty cables",
    "Council votes down toll as ferrymen threaten strike",
    "PORT AUTHORITY CHIEF RESIGNS OVER BRIDGE REPAIRS",
    "Here Are 12 Things You Should Know About The New Tunnel",
    "Macron and Scholz meet in Brussels",
    "Xi Jinping hosts Lula in Beijing",
    "Modi, Putin, Erdoğan: leaders gather in Kazan",
    "Nvidia shares slump",
    "Bayern Munich 2-1 Real Madrid",
    "Deutsche Bank fined by BaFin",
]
FOREIGN = {
    "de": "Die Brücke wird für ein Jahr geschlossen, sagte die Hafenbehörde am Montag in Hamburg.",
    "fr": "Le pont sera fermé pendant un an à partir de lundi, a précisé l'autorité portuaire.",
    "es": "El puente cerrará durante un año a partir del lunes, dijo la autoridad portuaria.",
    "ru": "Мост закроют на год, начиная с понедельника, сообщила администрация порта.",
    "tr": "Köprü pazartesi gününden itibaren bir yıl süreyle kapatılacak, dedi liman yönetimi.",
    "zh": "港务局表示,这座大桥将从星期一起关闭一年,司机将绕行北部隧道,市议会将于五月投票。",
    "ar": "قالت سلطة الميناء إن الجسر سيغلق لمدة عام اعتبارا من يوم الاثنين بسبب أعمال الصيانة.",
}


def test_english_article() -> None:
    assert language.detect(ENGLISH) == ("en", 1.0)


def test_english_article_needs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_identifier", None)  # calling it would raise
    assert language.detect(ENGLISH)[0] == "en"


@pytest.mark.parametrize("headline", HEADLINES)
def test_english_headlines_are_not_called_foreign(headline: str) -> None:
    assert language.detect(headline)[0] in ("en", "und")


@pytest.mark.parametrize(("code", "text"), FOREIGN.items())
def test_foreign_text_is_named(code: str, text: str) -> None:
    detected, confidence = language.detect(text)
    assert detected == code
    assert language.MIN_CONFIDENCE <= confidence <= 1
    assert language.detect(" ".join([text] * 20))[0] == code


def test_foreign_article_that_quotes_english_is_foreign() -> None:
    text = " ".join([FOREIGN["de"]] * 6) + " „This is the end of the road“, sagte er."
    assert language.detect(text)[0] == "de"


@pytest.mark.parametrize("text", ["", "   \n", "12.5 % + 7 = 19", "Read more", "!!! ??? …"])
def test_too_little_text(text: str) -> None:
    assert language.detect(text) == ("und", 0.0)


def test_only_the_beginning_counts() -> None:
    assert language.detect(FOREIGN["fr"] * 100 + ENGLISH * 10_000)[0] == "fr"
