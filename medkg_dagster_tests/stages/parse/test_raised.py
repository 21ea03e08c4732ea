"""Raised numbers in articles: powers and parts of names are text, marks of citations and notes are none."""

import pytest

from medkg_dagster.stage_api import Document
from medkg_dagster_tests.stages.parse.test_jats import article, parse

CITES = "One said<xref ref-type='bibr' rid='r1'>1</xref> so<xref ref-type='bibr' rid='r2'>2</xref>. "


def written(markup: str) -> Document:
    return parse(article(body=f"<body><p>{markup}</p></body>"))


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("common<sup>12</sup> and", "common and"),
        ("common<sup>1, 2</sup>.", "common."),
        ("common <sup>7</sup> of", "common of"),
        ("known<sup>7</sup>and", "known and"),
        ("known<sup><italic>7</italic></sup> of", "known of"),
        ("reported.<sup>3–5</sup> Next", "reported. Next"),
        ("45%<sup>7</sup> of Roe et al<sup>6</sup> said", "45% of Roe et al said"),
        ("since 2019<sup>3</sup> men<sup>8</sup> with HIV<sup>12</sup> had", "since 2019 men with HIV had"),
        ("<italic>in vitro</italic><sup>4</sup> (see above)<sup>5</sup>", "in vitro (see above)"),
        ("moderate (20–28)<sup>2</sup>", "moderate (20–28)"),
        ("weight/height<sup>2</sup>, radius<sup>3</sup>", "weight/height^2, radius^3"),
        (
            "0.02(<italic>x</italic> - 36.57)<sup>2</sup> [S]<sup>2</sup>/K",
            "0.02(x - 36.57)^2 [S]2/K",
        ),
        ("per plant<sup>−1</sup> in 5 m<sup>2</sup>", "per plant^−1 in 5 m2"),
        ("10<sup>5</sup> of 2.5 × 10<sup>3</sup>", "10^5 of 2.5 × 10^3"),
        ("iodine<sup>131</sup> at serine<sup>473</sup>", "iodine131 at serine473"),
        ("R<sup>2</sup>, χ<sup>2</sup>, chi<sup>2</sup>, BMI<sup>2</sup>", "R2, χ2, chi2, BMI2"),
        ("[methyl-<sup>13</sup>C] and <sup>18</sup>F", "[methyl-13C] and 18F"),
        ("both<sup>a,b</sup> of them", "both^a,b of them"),
    ],
)
def test_raised_numbers_are_told_apart_by_what_they_stand_behind(markup: str, expected: str) -> None:
    document = written(markup)

    assert f"{expected}\n" in f"{document.text}\n"
    assert document.text_kept is not None
    assert "unexplained" not in " ".join(document.text_kept.left_out)


def test_behind_a_word_a_raised_two_is_a_power_where_citations_have_marks_of_their_own() -> None:
    assert "so. The charge^2 of" in written(f"{CITES}The charge<sup>2</sup> of").text
    assert "so. The charge of" in written(f"{CITES}The charge<sup>14</sup> of").text


def test_what_is_raised_in_references_is_part_of_them() -> None:
    document = parse(article().replace("Cited work", "Cited work<sup>2</sup>"))

    assert [reference.text for reference in document.references] == ["Cited work^2"]
