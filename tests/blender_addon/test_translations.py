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
        assert own.strip() and own.endswith((".", "。")) == english.endswith("."), (english, own)
        assert own.endswith("…") == english.endswith("…"), (english, own)
        shortest = 0.2 if language in ("ja", "zh") else 0.4  # a Chinese character is half a word
        assert shortest < (len(own) + 8) / (len(english) + 8) < 2.5, (english, own)


def test_sentences_with_names_and_numbers() -> None:
    assert translated("Make Avatars", "de") == "Avatare erstellen"
    assert translated("3 avatars imported", "es") == "3 avatares importados"
    assert translated("a.jpg cannot be read: the file does not exist.", "fr") == (
        "a.jpg ne peut pas être lu : le fichier n'existe pas."
    )
    both = translated("The disk is full. Free some space or choose another folder.", "de")
    assert both == "Die Festplatte ist voll. Schaffe Platz oder wähle einen anderen Ordner."
    assert translated("me {curly} {} written", "de") == "me {curly} {} wurde geschrieben"
    # In Japanese and Chinese no space is between sentences, and the words in a text may change their order.
    both = translated("The disk is full. Free some space or choose another folder.", "ja")
    assert both == "ディスクがいっぱいです。空き容量を増やすか、別のフォルダーを選んでください。"
    assert translated("3 views of one person in a.jpg became one avatar.", "zh") == (
        "a.jpg 中同一个人的 3 个视角合成了一个虚拟形象。"
    )


def test_notes_and_the_words_in_them() -> None:
    note = "Outside the photo: left leg, right leg. Unseen parts have a typical pose."
    assert translated(note, "de") == (
        "Außerhalb des Fotos: linkes Bein, rechtes Bein. Was nicht zu sehen ist, hat eine typische Pose."
    )
    assert translated(note, "ja").startswith("写真の外: 左脚、右脚。")
    skirt = "The skirt, dress or coat became part of the body's surface, because the legs are bent."
    assert translated(skirt, "ja") == "スカート、ドレス、コートは体の表面の一部になりました。理由: 脚が曲がっています。"


def test_what_is_not_known_stays_as_it_is() -> None:
    note = "Outside the photo: legs. They are posed by the prior."
    assert translated(note, "de") == note and translated("Make Avatars", "") == "Make Avatars"
    assert translated("", "fr") == ""


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de_DE", "de"),
        ("fr", "fr"),
        ("es_ES", "es"),
        ("ja_JP", "ja"),
        ("zh_CN", "zh"),
        ("zh_HANS", "zh"),
        ("zh_HANT", ""),
        ("zh_TW", ""),
        ("en_US", ""),
        ("", ""),
        ("pt_BR", ""),
    ],
)
def test_blenders_locales(locale: str, language: str) -> None:
    assert language_of(locale) == language
