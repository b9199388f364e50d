"""The panel's languages: every text has an entry, and sentences with names in them are recognised."""

from __future__ import annotations

import json
import string

import pytest

from tools.translations import catalogue_texts, english_texts
from uvatar_blender.core.translation import LANGUAGES, language_of, translated


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_panel_and_operators_has_an_entry(language: str) -> None:
    english, own = english_texts(), catalogue_texts(language)
    assert len(english) > 450 and {"Make Avatars", "Control Rig", "Up axis", "The disk is full."} <= set(english)
    lacking = [text for text in english if text not in own]
    left_over = [text for text in own if text not in english]
    assert not lacking and not left_over, json.dumps([lacking, left_over], indent=1)
    assert sum(text == own[text] for text in english) < 0.06 * len(english)  # "Clip", "Neutral", ...


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_same_places_and_the_marks_of_their_kind(language: str) -> None:
    for english, own in catalogue_texts(language).items():
        places = [field for _, field, *_ in string.Formatter().parse(own) if field is not None]
        assert len(places) == english.count("{}"), english
        assert own.strip() and own.endswith(".") == english.endswith("."), (english, own)
        assert own.endswith("…") == english.endswith("…"), (english, own)
        assert 0.4 < (len(own) + 8) / (len(english) + 8) < 2.5, (english, own)


def test_sentences_with_names_and_numbers() -> None:
    assert translated("Make Avatars", "de") == "Avatare erstellen"
    assert translated("3 avatars imported", "es") == "3 avatares importados"
    assert translated("a.jpg cannot be read: the file does not exist.", "fr") == (
        "a.jpg ne peut pas être lu : le fichier n'existe pas."
    )
    both = translated("The disk is full. Free some space or choose another folder.", "de")
    assert both == "Die Festplatte ist voll. Schaffe Platz oder wähle einen anderen Ordner."
    assert translated("me {curly} {} written", "de") == "me {curly} {} wurde geschrieben"


def test_what_is_not_known_stays_as_it_is() -> None:
    note = "Outside the photo: legs. They are posed by the prior."
    assert translated(note, "de") == note and translated("Make Avatars", "") == "Make Avatars"
    assert translated("", "fr") == ""


@pytest.mark.parametrize(
    ("locale", "language"), [("de_DE", "de"), ("fr", "fr"), ("es_ES", "es"), ("en_US", ""), ("", ""), ("pt_BR", "")]
)
def test_blenders_locales(locale: str, language: str) -> None:
    assert language_of(locale) == language
