//! Tests of the reader of `JUnit` XML.

use super::*;

fn read(text: &str) -> Result<Tests, Flaw> {
    crate::report::read(Kind::Junit, &mut text.as_bytes()).map(|facts| facts.tests.unwrap())
}

fn counts(text: &str) -> (u64, usize, u64, usize) {
    let tests = read(text).unwrap_or_else(|flaw| panic!("{flaw}: {text}"));
    (tests.passed, tests.failed.len(), tests.skipped, tests.flaky.len())
}

fn flaw(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

const PASS: &str = "<testcase classname='c' name='a'/>";
const FAIL: &str = "<testcase classname='c' name='b'><failure message='m'>text</failure></testcase>";
const SKIP: &str = "<testcase name='s'><skipped/></testcase>";

#[test]
fn a_case_is_what_its_elements_say() {
    let cases = [
        ("", (2, 0, 0, 0)),
        ("<system-out>text</system-out><properties><property name='failure'/></properties>", (2, 0, 0, 0)),
        ("<failure/>", (1, 1, 0, 0)),
        ("<error message='x'/>", (1, 1, 0, 0)),
        ("<failure/><error/>", (1, 1, 0, 0)),
        ("<rerunFailure/>", (1, 1, 0, 0)),
        ("<flakyFailure><stackTrace>x</stackTrace></flakyFailure>", (2, 0, 0, 1)),
        ("<flakyError/>", (2, 0, 0, 1)),
        ("<failure/><rerunFailure><failure/></rerunFailure>", (1, 1, 0, 0)),
        ("<skipped/>", (1, 0, 1, 0)),
        ("<skipped/><failure/>", (1, 1, 0, 0)),
        ("<skipped type='todo'/><failure/>", (1, 0, 1, 0)),
    ];
    for (inside, expected) in cases {
        let text = format!("<testsuite tests='2'>{PASS}<testcase name='x'>{inside}</testcase></testsuite>");
        assert_eq!(counts(&text), expected, "{inside}");
    }
    for (attributes, expected) in [
        ("status='run' result='completed'", (2, 0, 0, 0)),
        ("status='notrun' result='suppressed'", (1, 0, 1, 0)),
        ("status='disabled'", (1, 0, 1, 0)),
        ("status='failed'", (1, 1, 0, 0)),
    ] {
        let text = format!("<testsuite>{PASS}<testcase name='x' {attributes}/></testsuite>");
        assert_eq!(counts(&text), expected, "{attributes}");
    }
}

#[test]
fn the_counts_of_suites_are_compared() {
    let nested = format!(
        "<testsuites tests='2'><testsuite tests='1'>{PASS}</testsuite><testsuite>{FAIL}</testsuite></testsuites>"
    );
    assert_eq!(counts(&nested), (1, 1, 0, 0));
    let cases = [
        ("tests='3'", "", "it is not a JUnit report: `s` says that it has 3 tests, and has 1 (line 1)"),
        (
            "tests='1' failures='1'",
            "",
            "it says that its tool failed: `s` has failures or errors: 1, and its tests tell of 0",
        ),
        (
            "tests='1' errors='2'",
            FAIL,
            "it says that its tool failed: `s` has failures or errors: 2, and its tests tell of 1",
        ),
        ("tests='-1'", "", "it is not a JUnit report: `tests=\"-1\"` of `testsuite` is no count (line 1)"),
    ];
    for (attributes, more, told) in cases {
        assert_eq!(flaw(&format!("<testsuite name='s' {attributes}>{PASS}{more}</testsuite>")), told);
    }
}

#[test]
fn reports_within_a_report_are_read() {
    let inner = format!("<testsuites><testsuite tests='1'>{FAIL}</testsuite></testsuites>");
    let beside = format!("<testsuites>{inner}<testsuite tests='1'>{PASS}</testsuite></testsuites>");
    assert_eq!(counts(&beside), (1, 1, 0, 0));
    let below = format!("<testsuites tests='2'><testsuite tests='2'>{PASS}{inner}</testsuite></testsuites>");
    assert_eq!(counts(&below), (1, 1, 0, 0));
    let told = "it is not a JUnit report: `s` says that it has 2 tests, and has 1 (line 1)";
    let short = format!("<testsuites><testsuites name='s' tests='2'>{PASS}</testsuites></testsuites>");
    assert_eq!(flaw(&short), told);
}

#[test]
fn what_counts_stands_where_it_belongs_or_is_refused() {
    for (inside, told) in [
        (format!("<group>{FAIL}</group>"), "`testcase` stands within `group`"),
        (format!("<a><b><testsuite>{FAIL}</testsuite></b></a>"), "`testsuite` stands within `b`"),
        (format!("<group><testsuites>{FAIL}</testsuites></group>"), "`testsuites` stands within `group`"),
        (format!("<testcase name='x'>{FAIL}</testcase>"), "`testcase` stands within `testcase`"),
        (
            format!("<testcase name='x'><skipped>{FAIL}</skipped></testcase>"),
            "`testcase` stands within `skipped`",
        ),
        (
            "<testcase name='x'><outcome><failure/></outcome></testcase>".to_owned(),
            "`failure` stands within `outcome`",
        ),
        ("<outcome><error/></outcome>".to_owned(), "`error` stands within `outcome`"),
    ] {
        let flaw = flaw(&format!("<testsuite>{PASS}{inside}</testsuite>"));
        assert!(flaw.contains(told), "{flaw}");
    }
    for output in [
        format!("<system-out>{FAIL}</system-out>"),
        format!("<system-err><x><testsuite>{FAIL}</testsuite></x></system-err>"),
        "<properties><property><failure/></property></properties>".to_owned(),
        format!("<group><![CDATA[{FAIL}]]></group>"),
        format!("<group><!-- {FAIL} --></group>"),
        "<group><item/></group>".to_owned(),
    ] {
        for inside in [output.clone(), format!("<testcase name='x'>{output}</testcase>")] {
            let (passed, failed, ..) = counts(&format!("<testsuite>{PASS}{inside}</testsuite>"));
            assert_eq!((passed > 0, failed), (true, 0), "{inside}");
        }
    }
}

#[test]
fn what_is_more_than_counted_was_not_run() {
    assert_eq!(
        counts(&format!(
            "<testsuites tests='2'><testsuite tests='2'>{PASS}{PASS}{PASS}</testsuite></testsuites>"
        )),
        (2, 0, 1, 0)
    );
    assert_eq!(counts(&format!("<testsuite tests='1'>{PASS}{FAIL}</testsuite>")), (1, 1, 0, 0));
}

#[test]
fn no_test_is_no_evidence() {
    let cases = [
        ("<testsuites/>".to_owned(), "no test was run"),
        ("<testsuites tests='0'><testsuite tests='0'/></testsuites>".to_owned(), "no test was run"),
        (format!("<testsuite>{SKIP}{SKIP}</testsuite>"), "no test was run; 2 were skipped"),
        (format!("<testsuite tests='0'>{PASS}</testsuite>"), "no test was run; 1 were skipped"),
    ];
    for (text, told) in cases {
        assert_eq!(flaw(&text), format!("it says that nothing was examined: {told}"));
    }
}

#[test]
fn a_failure_outside_of_a_case_is_one_of_its_suite() {
    let tests = read(&format!("<testsuite name='s'>{PASS}<error message='no set-up'/></testsuite>")).unwrap();
    assert_eq!((tests.failed[0].name.as_str(), tests.failed[0].message.as_str()), ("s", "no set-up"));
}

#[test]
fn failed_tests_are_told_with_their_place() {
    let files = [
        "pytest/shop.xml",
        "pytest/shop-xunit1.xml",
        "jest/sum.xml",
        "playwright/till.xml",
        "node/node.xml",
        "nextest/till.xml",
    ];
    let mut told = Vec::new();
    for file in files {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(file);
        let tests = read(&std::fs::read_to_string(path).unwrap()).unwrap();
        let test = &tests.failed[0];
        let place = test.place.as_ref().unwrap();
        let first = test.message.lines().next().unwrap();
        told.push(format!("{} | {first} | {}:{}", test.name, place.path, place.line.unwrap()));
    }
    let expected = [
        "tests.test_price › test_discount[0.25] | AssertionError: the discount is <wrong> & late | tests/test_price.py:12",
        "tests.test_price › test_discount[0.25] | AssertionError: the discount is <wrong> & late | tests/test_price.py:12",
        "sum adds <big> numbers | Error: expect(received).toBe(expected) // Object.is equality | /home/dev/shop/sum.test.js:8",
        "play.spec.js › till › gives change | expect(received).toBe(expected) // Object.is equality | play.spec.js:4",
        "test › adds the tax | Expected values to be strictly equal:3 !== 4 | /home/dev/shop/node.test.mjs:8",
        "till › tests::gives_change | thread 'tests::gives_change' (22827) panicked at src/lib.rs:19:9: | src/lib.rs:19",
    ];
    assert_eq!(told, expected);
}

#[test]
fn entities_are_not_expanded() {
    let wrap = |start: &str, text: &str| {
        format!("{start}<testsuite><testcase name='a'><failure>{text}</failure></testcase></testsuite>")
    };
    let tests = read(&wrap("", "a &lt;b&gt; &amp; &#65;&#x42; <![CDATA[<c>]]>")).unwrap();
    assert_eq!(tests.failed[0].message, "a <b> & AB <c>");
    let cases = [
        (
            wrap("<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>", "&b;"),
            "it declares entities, which are not expanded",
        ),
        (wrap("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>", "&a;"), "it declares entities"),
        (wrap("", "&b;"), "the entity `b` is not one of XML's own"),
        (wrap("", "&#0;"), "it refers to a character that does not exist"),
        ("<testsuite name='&b;'/>".to_owned(), "an attribute of `testsuite` is not XML"),
    ];
    for (text, told) in cases {
        let flaw = flaw(&text);
        assert!(flaw.contains(told), "{flaw}");
    }
    assert_eq!(
        counts(&format!("<!DOCTYPE testsuite SYSTEM 'x.dtd'><testsuite>{PASS}</testsuite>")),
        (1, 0, 0, 0)
    );
}

#[test]
fn what_is_no_document_is_a_flaw() {
    let cases = [
        ("<testsuite><testcase name='a'/>", "it is cut off: `testsuite` does not end"),
        ("<?xml version='1.0'?>", "it is cut off: it has no element"),
        ("<testsuite><testcase></testsuite>", "expected `</testcase>`"),
        ("<testsuite></testsuite><testsuite/>", "there is something after its end"),
        ("<testsuite></testsuite>text", "there is text outside of its elements"),
        ("<testsuite a='1' a='2'/>", "has an attribute twice"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><testsuite/>", "it is written in ISO-8859-1"),
        ("<html></html>", "its root is `html`"),
    ];
    for (text, told) in cases {
        let flaw = flaw(text);
        assert!(flaw.contains(told), "{flaw}");
    }
    let deep = "<testsuite>".repeat(1_000);
    assert!(flaw(&deep).contains("nested more than 100 times"));
}

#[test]
fn a_huge_text_is_not_held() {
    let start = "<testsuite><testcase name='a'/><system-out>";
    let mut endless = std::io::BufReader::new(std::io::Read::chain(start.as_bytes(), std::io::repeat(b'x')));
    assert!(matches!(crate::report::read(Kind::Junit, &mut endless), Err(Flaw::TooLarge { .. })));
}
