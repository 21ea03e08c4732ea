"""What sites put into and around an article: controls, banners, and what else there is to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from medkg_dagster.stages.parse.xml import Element, plain_text

CONTROLS = "controls of the page"
AUTHORS = "authors and addresses"
SURROUNDINGS = "what surrounds the article"
MAX_CONTROL = 80

_OF_CONTROLS = (
    "in|this|the|full|larger|inline|as|high-?res(?:olution)?|full-?size|original|powerpoint|orcid"
    "|author|article|new"
    "|a|all|more|less|figure|table|image|pop-?up|pdf|tab|window|viewer|slide|csv|excel|xml|with cover"
    "|references?|citations?"
    "|metrics|profile|abstract|options|via"
)
_SIZE = r"(?: \([\d.,]+ ?[kmg]b\))?"
_CONTROL = re.compile(
    r"\W*(?:(?:skip|go|back|return) to (?:[\w-]+ ){0,2}(?:content|navigation|article|top|figure|table|text)"
    rf"|(?:open|view|download|see|show|expand|enlarge)(?: (?:{_OF_CONTROLS})\b)+(?: for \w+)?{_SIZE}"
    rf"|download: download [\w -]+{_SIZE}|full[- ]size (?:image|table|figure)|powerpoint(?: slide)?"
    r"|download:?(?: keyboard_arrow_\w+)?|(?:ppt|png|tiff?)(?: (?:slide|larger image|original image))?"
    r"|(?:larger|original) image"
    r"|browse figures|versions notes|loading metrics|keyboard_arrow_\w+|explore all metrics"
    r"|reprints and permissions|request permissions?|get rights and content"
    r"|export citations?|cite this article|share(?: (?:this|article|on [\w ]+))*|give access"
    r"|get shareable link|copy(?: link| to clipboard)?|add to \w+|save(?: article)?|print(?:/save options)?"
    r"|e-?mail (?:article|alerts?)|search for more papers by this author|find articles by [\w .’'-]+"
    r"|author links open overlay panel|show (?:more|less)|read (?:more|less)|advertisement"
    r"|pmc copyright notice|info/history|preview pdf|citations: [\d,]+"
    r"|[\d,.]+k? (?:total )?(?:accesses|citations|altmetric|views|downloads)"
    r"|sorry, a shareable link is not currently available for this article\.?"
    r"|anyone you share the following link with will be able to read this content:?)\W*",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"\W*(?:similar content being viewed by others|recommended(?: articles| reading)?"
    r"|related (?:articles?|content)"
    r"|(?:articles? )?cited by(?: articles)?|citing (?:literature|articles)|most (?:read|cited"
    r"|popular)(?: articles)?"
    r"|you may also (?:like|be interested in)|people also (?:read|looked at)|more from this journal"
    r"|latest (?:articles|news)"
    r"|about this article|rights and permissions|access (?:options|this article)|article metrics"
    r"|subject areas?"
    r"|share this article|cite this article|(?:in|on) this (?:page|article|issue)|permalink|navigation menu"
    r"|sign up for alerts|citations|altmetric|related articles in|supporting links|similar articles"
    r"|links to ncbi databases"
    r"|your privacy, your choice)\W*(?:\(?\d+\)?)?\W*",
    re.IGNORECASE,
)
_BANNER = re.compile(r"(?:^|[\s_-])(?:cookies?|cc-banner|onetrust|consent|gdpr)(?:$|[\s_-])", re.IGNORECASE)
_ARTICLE = re.compile(
    r"(?:^|\s)(?:full-?text-view|article-?full-?text|hlfld-fulltext|(?:c-|main-)*article-+body|articlebody"
    r"|article|fulltext|full-text)(?:$|\s)",
    re.IGNORECASE,
)
_CAPTION = re.compile(r"(?:^|[\s_-])(?:captions?|figcaption|figure-description)(?:$|[\s_-])", re.IGNORECASE)
_LABEL = re.compile(r"(?:^|[\s_-])(?:label|number)(?:$|[\s_-])", re.IGNORECASE)
_BAR = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|menu|tabs|breadcrumbs?|toolbar|toc|share|social|links?)(?:$|[\s_-])",
    re.IGNORECASE,
)
_AUTHOR = re.compile(r"(?:^|\s)(?:profile-card|author-(?:info|card|details))(?:$|\s)", re.IGNORECASE)
_UNSEEN = re.compile(
    r"(?:^|\s)(?:sr-only|u?-?visually-?hidden|screen-reader-text|mfp-hide|d-none|display-none"
    r"|hidden)(?:$|\s)",
    re.IGNORECASE,
)
_BARS = frozenset({"ul", "ol", "div"})
_HEADINGS = tuple(f"h{depth}" for depth in range(1, 7))
_BANNERS = ("div", "section", "aside", "dialog")
_SMALL = frozenset({"a", "p", "li", "div", "span", "summary"})
_LEADS_AWAY = re.compile(r"recommend|related|similar|cited-?by|citing|inline-rec", re.IGNORECASE)
MAX_ELSEWHERE = 50
LINK_SHARE = 0.8
MAX_BAR = 100


def is_article(element: Element) -> bool:
    """Return whether the class of an element says that it holds the text of an article."""
    return element.tag == "div" and bool(_ARTICLE.search(_class(element)))


def is_unseen(element: Element) -> bool:
    """Return whether the class of an element says that it is not shown; tables may stand in what opens."""
    return bool(_UNSEEN.search(_class(element))) and next(element.iter("table"), None) is None


def is_caption(element: Element) -> bool:
    """Return whether the class of an element says that it is a caption."""
    return bool(_CAPTION.search(_class(element)))


def is_label(element: Element) -> bool:
    """Return whether the class of an element says that it numbers what stands behind it."""
    return element.tag == "span" and bool(_LABEL.search(_class(element)))


def why_furniture(element: Element) -> str:
    """Return why an element is none of the article by what it says or is called; empty where it may be."""
    tag = element.tag
    parent = element.getparent()
    is_footer = tag == "footer" and parent is not None and parent.tag == "body"
    if is_footer or (tag in _BANNERS and _BANNER.search(f"{_class(element)} {element.get('id', '')}")):
        return SURROUNDINGS
    if tag in _BARS and _AUTHOR.search(_class(element)):
        return AUTHORS
    if tag in _BARS and _BAR.search(f"{_class(element)} {element.get('id', '')}") and _is_all_links(element):
        return "navigation"
    if tag not in _SMALL:
        return ""
    text = _short_text(element)
    if tag in {"a", "span"} and not _is_alone(element):
        return ""
    return CONTROLS if text and _CONTROL.fullmatch(text) else ""


def leave_out_what_is_elsewhere(root: Element) -> None:
    """Leave out the parts of a page whose headings say that they lead away from the article."""
    headings = (one for one in root.iter(*_HEADINGS) if _ELSEWHERE.fullmatch(_short_text(one) or "-"))
    for heading in list(islice(headings, MAX_ELSEWHERE)):
        part = heading
        while (parent := part.getparent()) is not None and _begins_with(parent, part, heading):
            part = parent
        part.set("reason", SURROUNDINGS)
        if part is heading:
            for following in _up_to_next(heading):
                following.set("reason", SURROUNDINGS)


def _begins_with(parent: Element, part: Element, heading: Element) -> bool:
    """Return whether the heading that a part begins with is the first text of the parent, and the highest."""
    if parent.tag in {"main", "body", "html", "article"} or (parent.text or "").strip():
        return False
    if any(
        plain_text(before).strip() or (before.tail or "").strip()
        for before in part.itersiblings(preceding=True)
    ):
        return False
    if _LEADS_AWAY.search(f"{_class(parent)} {parent.get('aria-labelledby')} {parent.get('aria-label')}"):
        return True
    others = (other for other in parent.iter(*_HEADINGS) if other is not heading)
    return all(str(other.tag) > str(heading.tag) for other in others)


def _up_to_next(heading: Element) -> Iterator[Element]:
    """Yield what stands behind a heading, up to the next one as high or a part of the page that has one."""
    for following in heading.itersiblings():
        if not isinstance(following.tag, str):
            continue
        if any(str(other.tag) <= str(heading.tag) for other in following.iter(*_HEADINGS)):
            return
        yield following


def _is_alone(element: Element) -> bool:
    """Return whether an element stands by itself, not among the words of a sentence."""
    previous, parent = element.getprevious(), element.getparent()
    before = previous.tail if previous is not None else "" if parent is None else parent.text
    return not (before or "").strip() and not (element.tail or "").strip()


def _is_all_links(element: Element) -> bool:
    """Return whether nearly all that an element says, which is not much, leads elsewhere."""
    words = list(islice((word for text in element.itertext() for word in str(text).split()), MAX_BAR + 1))
    linked = sum(len(plain_text(link).split()) for link in element.iter("a")) if len(words) <= MAX_BAR else 0
    return linked > LINK_SHARE * len(words)


def _class(element: Element) -> str:
    return element.get("class", "")


def _short_text(element: Element) -> str:
    """Return the text of an element that has little, else nothing."""
    parts: list[str] = []
    length = 0
    for text in islice(element.itertext(), 4 * MAX_CONTROL):
        parts.append(str(text))
        length += len(text.strip())
        if length > MAX_CONTROL:
            return ""
    return " ".join("".join(parts).split())
