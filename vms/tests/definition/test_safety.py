"""What is not the XML of a domain is refused with its place, and nothing else ever goes wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.definition.changes import diff, digest, lost
from vms.definition.domain import Definition
from vms.definition.summary import summarize
from vms.definition.xml import LARGEST, MalformedDefinition, parse
from vms.tests.definition.walking import CORPUS, places

BOMB = """<!DOCTYPE domain [
<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<domain><name>&c;</name></domain>"""
OUTSIDE = "<!DOCTYPE domain [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>\n<domain><name>&f;</name></domain>"
DEFAULTS = "<!DOCTYPE domain [<!ATTLIST domain type CDATA 'kvm'>]><domain/>"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("   ", 1),
        ("not xml", 1),
        ("<domain>", 1),
        ("<domain>\n<name>\n</domain>", 3),
        ("<network/>", 1),
        ("\n\n<domain:domain xmlns:domain='x'/>", 3),
        ("<domain>\n\0</domain>", 2),
        ("<domain>&#0;</domain>", 1),
        ("<domain>\n&nothing;</domain>", 2),
        ("<domain a='1' a='2'/>", 1),
        ("<domain>\n\udc80</domain>", 2),
        ("<domain/><domain/>", 1),
        (BOMB, 1),
        (OUTSIDE, 1),
        (DEFAULTS, 1),
        ("\n<!DOCTYPE domain>\n<domain/>", 2),
        ("<domain>" + "<a>" * 300 + "</a>" * 300 + "</domain>", 1),
        ("<domain>" + "x" * (LARGEST + 1) + "</domain>", 0),
    ],
)
def test_what_is_not_a_domain_is_refused_with_its_place(text, line):
    with pytest.raises(MalformedDefinition) as error:
        Definition.parse(text)
    assert error.value.line == line
    assert str(error.value)


def test_a_document_type_that_is_only_talked_about_is_no_reason():
    text = "<domain><!-- <!DOCTYPE domain> --><name><![CDATA[<!DOCTYPE x>]]></name></domain>"
    assert Definition.parse(text).name == "<!DOCTYPE x>"


def test_what_the_declaration_says_of_the_encoding_does_not_matter():
    for encoding in ("UTF-8", "iso-8859-1", "UTF-16"):
        assert (
            Definition.parse(f"<?xml version='1.0' encoding='{encoding}'?><domain><name>ü€</name></domain>").name
            == "ü€"
        )


XML = st.recursive(
    st.sampled_from(
        ["", " ", "text", "&amp;", "&#x41;", "<!-- c -->", "<?p i?>", "<![CDATA[<]]>", "<a", "&x;", "]]>", "\0"]
    ),
    lambda inner: st.builds(
        lambda tag, attribute, parts: f"<{tag} {attribute}>{''.join(parts)}</{tag}>",
        st.sampled_from(["domain", "devices", "disk", "memory", "vcpu", "target", "os", "x:y", "source"]),
        st.sampled_from(
            ["", "type='file'", "unit='GiB'", "dev='vda'", "xmlns:x='u'", "xmlns='u'", "x:a='1'", "a", "xml:id='1'"]
        ),
        st.lists(inner, max_size=5),
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), XML, st.builds("<domain>{}</domain>".format, st.one_of(st.text(), XML))))
def test_any_text_is_read_or_refused(text):
    try:
        definition = Definition.parse(text)
    except MalformedDefinition:
        return
    use(definition, text)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(CORPUS)), st.randoms(use_true_random=False))
def test_a_damaged_definition_is_read_or_refused(name, chance):
    text = CORPUS[name]
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text))
        damage = chance.choice(["", "<", ">", "'", "&", "\0", "x", "<a/>", "-1", "]]>", "<!--"])
        text = text[:place] + damage + text[place + chance.choice([0, 1, 7]) :]
    try:
        definition = Definition.parse(text)
    except MalformedDefinition:
        return
    use(definition, text)


def use(definition, text):
    """All that is done with a definition that came through."""
    for path, _prop in places(definition):
        definition.get(path)
    definition.title = "new"
    again = definition.to_xml()
    assert Definition.parse(again).title == "new"
    assert digest(again) == digest(Definition.parse(again).to_xml())
    assert not diff(again, again).changes and not lost(again, again)
    diff(text, again)
    lost(text, again)
    summarize(parse(text))
