//! Tests of the reader of `JUnit` XML.

use super::*;

fn read(text: &str) -> Result<Tests, ParseError> {
    crate::read(ReportKind::Junit, &mut text.as_bytes()).map(|facts| facts.tests.unwrap())
}

fn counts(text: &str) -> (u64, usize, u64, usize) {
    let tests = read(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (tests.passed, tests.failed.len(), tests.skipped, tests.flaky.len())
}

fn error_of(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

const PASS: &str = "<testcase classname='c' name='a'/>";
const FAIL: &str = "<testcase classname='c' name='b'><failure message='m'>text</failure></testcase>";
const SKIP: &str = "<testcase name='s'><skipped/></testcase>";

#[test]
fn result_of_a_case_follows_from_its_elements() {
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
fn counts_of_nested_suites_are_checked() {
    let nested = format!(
        "<testsuites tests='2'><testsuite tests='1'>{PASS}</testsuite><testsuite>{FAIL}</testsuite></testsuites>"
    );
    assert_eq!(counts(&nested), (1, 1, 0, 0));
    assert_eq!(
        error_of(&format!("<testsuite name='s' tests='3'>{PASS}</testsuite>")),
        "not a JUnit report: `s` says that it has 3 tests, and has 1 (line 1)"
    );
    let what = "not a JUnit report: `failures=\"some\"` of `testsuite` is not a count (line 1)";
    assert_eq!(error_of(&format!("<testsuite name='s' failures='some'>{PASS}</testsuite>")), what);
    // These totals of tests are invalid and must be ignored.
    for tests in ["", "-1", "unknown", "NaN", "1.0"] {
        let text =
            format!("<testsuite name='s' tests='{tests}' failures='-1' errors='0.0'>{PASS}</testsuite>");
        assert_eq!(counts(&text), (1, 0, 0, 0), "{tests}");
    }
}

#[test]
fn failures_declared_but_not_listed_are_failures() {
    let failed = |text: &str| -> Vec<String> {
        let failed = read(text).unwrap_or_else(|error| panic!("{error}: {text}")).failed;
        failed.into_iter().map(|test| format!("{}: {}", test.name, test.message)).collect()
    };
    let suite = |attributes: &str, more: &str| {
        failed(&format!("<testsuite name='s' {attributes}>{PASS}{more}</testsuite>"))
    };
    assert_eq!(suite("tests='1' failures='1'", ""), ["s: 1 failure declared, 0 listed"]);
    assert_eq!(suite("failures='1' errors='2'", ""), ["s: 1 failure and 2 errors declared, 0 listed"]);
    assert_eq!(suite("tests='1' errors='2'", FAIL), ["c › b: m", "s: 2 errors declared, 1 listed"]);
    // One assertion is counted both as a failure and as an error.
    assert_eq!(suite("tests='2' failures='1' errors='1'", FAIL), ["c › b: m"]);
    // Catch2 lists the failure of a test that may fail, but does not declare it.
    let may = "<testcase name='may'><skipped message='TEST_CASE tagged with !mayfail'/><failure/></testcase>";
    assert_eq!(suite("tests='2' failures='0'", may), [""; 0]);
    assert_eq!(suite("tests='2' failures='1'", may), ["s: 1 failure declared, 0 listed"]);
    // A missing failure is reported once, and not again by each outer suite.
    let nested = format!(
        "<testsuites failures='2'><testsuite failures='2'><testsuite name='s' failures='2'>{PASS}</testsuite></testsuite></testsuites>"
    );
    assert_eq!(failed(&nested), ["s: 2 failures declared, 0 listed"]);
    let root = format!("<testsuites errors='2'><testsuite tests='1'>{PASS}</testsuite></testsuites>");
    assert_eq!(failed(&root), ["(the whole report): 2 errors declared, 0 listed"]);
    let none = "<testsuites tests='0' failures='0' errors='3'/>";
    assert_eq!(failed(none), ["(the whole report): 3 errors declared, 0 listed"]);
    // Each attempt explains one declared failure.
    let flaky = "<testcase name='f'><flakyFailure/><flakyError/></testcase>";
    assert_eq!(suite("tests='4' failures='2'", flaky), [""; 0]);
    assert_eq!(suite("tests='5' failures='3'", flaky), ["s: 3 failures declared, 0 listed"]);
    let again = "<testcase name='f'><failure/><rerunFailure/><rerunFailure/></testcase>";
    assert_eq!(suite("tests='4' failures='3'", again), ["s › f: "]);
}

#[test]
fn unlisted_tests_are_accepted_only_with_an_explanation() {
    let totals_of = |text: &str| {
        let tests = read(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let totals = tests.totals.map(|totals| (totals.declared, totals.listed));
        (tests.passed, tests.failed.len(), tests.skipped, totals)
    };
    let suite = |attributes: &str, more: &str| {
        totals_of(&format!("<testsuite name='s' {attributes}>{PASS}{more}</testsuite>"))
    };
    // mocha does not list pending tests, and counts them only at the root.
    let mocha = format!(
        "<testsuites tests='3' failures='0' skipped='2'><testsuite tests='3'>{PASS}</testsuite></testsuites>"
    );
    assert_eq!(totals_of(&mocha), (1, 0, 2, Some((3, 1))));
    for word in ["disabled", "skip", "skips", "ignored"] {
        assert_eq!(suite(&format!("tests='4' {word}='2'"), SKIP), (1, 0, 2, Some((4, 2))), "{word}");
    }
    assert_eq!(suite("tests='4' skipped='3'", SKIP), (1, 0, 3, Some((4, 2))));
    // A failed hook prevents other tests from running.
    assert_eq!(suite("tests='5' failures='1'", FAIL), (1, 1, 0, Some((5, 2))));
    assert_eq!(suite("tests='5' failures='1'", ""), (1, 1, 0, Some((5, 1))));
    assert_eq!(suite("tests='3' skipped='9'", SKIP), (1, 0, 2, Some((3, 2))));
    // The total may count attempts.
    assert_eq!(
        suite("tests='4'", "<testcase name='f'><flakyError/><flakyError/></testcase>").3,
        Some((4, 2))
    );
    // The total may count assertions.
    let run = "<testcase classname='c' name='a' status='run' time='0.1'/>";
    let run = |attributes: &str, name: &str| {
        let case = run.replace("status='run'", name);
        read(&format!(
            "<testsuites><testsuite name='s' tests='9' {attributes}>{case}</testsuite></testsuites>"
        ))
    };
    assert!(run("errors='0'", "status='run'").is_ok());
    assert!(run("hostname='tbd'", "").is_ok());
    assert!(run("", "assertions='9'").is_ok());
    // The same totals from other tools mean that tests are missing.
    assert!(run("", "assertions='8'").is_err());
    assert!(run("disabled='0'", "status='run'").is_err());
    assert!(run("", "status='run' result='completed'").is_err());
    assert!(run("hostname='laptop'", "").is_err());
    // Newman's root counts scripts.
    let newman = |root: &str, inner: u32| {
        read(&format!("<testsuites {root}><testsuite tests='{inner}'>{PASS}</testsuite></testsuites>"))
    };
    assert!(newman("tests='5'", 1).is_ok());
    assert!(newman("tests='5' failures='0'", 1).is_err());
    assert!(newman("tests='5'", 2).is_err());
    let more = format!("<testsuites tests='1'><testsuite tests='2'>{PASS}{PASS}</testsuite></testsuites>");
    assert_eq!(counts(&more), (2, 0, 0, 0));
}

#[test]
fn stderr_lines_of_go_are_not_errors() {
    let go = |root: &str, suite: &str, case: &str| {
        let text = format!(
            "<testsuites tests='1' failures='0' errors='2' {root}><testsuite tests='1' {suite} name='shop/till'>\
             <testcase classname='shop/till' name='{case}'/></testsuite></testsuites>"
        );
        counts(&text)
    };
    assert_eq!(go("", "failures='0'", "TestAdd"), (1, 0, 0, 0));
    assert_eq!(go("", "failures='0'", "ExampleTill/one"), (1, 0, 0, 0));
    // In reports of other tools they are failures.
    assert_eq!(go("", "failures='0'", "adds"), (1, 1, 0, 0));
    assert_eq!(go("", "", "TestAdd"), (1, 1, 0, 0));
    assert_eq!(go("", "failures='0' errors='0'", "TestAdd"), (1, 1, 0, 0));
    assert_eq!(go("", "failures='1'", "TestAdd"), (1, 1, 0, 0));
    // Qt Test 5 counts printed warnings as errors. Failures still count.
    let qt = |attributes: &str, property: &str| {
        let properties = format!("<properties><property name='{property}' value='5.15.8'/></properties>");
        counts(&format!("<testsuite name='tst' tests='1' {attributes}>{properties}{PASS}</testsuite>"))
    };
    assert_eq!(qt("errors='4' failures='0'", "QTestVersion"), (1, 0, 0, 0));
    assert_eq!(qt("errors='4' failures='1'", "QTestVersion"), (1, 1, 0, 0));
    assert_eq!(qt("errors='4' failures='0'", "version"), (1, 1, 0, 0));
}

#[test]
fn uncounted_skipped_tests_are_skipped_once() {
    let boost = "<testcase name='one' assertions='1'/><testcase name='two' assertions='1'/>";
    let skipped = format!("{boost}<testcase name='off' assertions='0'><skipped/></testcase>");
    assert_eq!(counts(&format!("<testsuite tests='2' skipped='1'>{skipped}</testsuite>")), (2, 0, 1, 0));
    let merged = format!("<testsuites><testsuite tests='2' skipped='1'>{skipped}</testsuite></testsuites>");
    assert_eq!(counts(&merged), (2, 0, 1, 0));
    // Ginkgo 1 does not declare how many tests were skipped.
    assert_eq!(
        counts(&format!("<testsuite tests='2' failures='1'>{PASS}{FAIL}{SKIP}</testsuite>")),
        (1, 1, 1, 0)
    );
    // jest includes skipped tests in its total, but not tests that are still to be written.
    let jest = |tests: u32, more: &str| {
        counts(&format!(
            "<testsuites name='jest tests' tests='{tests}'><testsuite name='s' errors='0' failures='0' skipped='1' tests='{tests}'>\
             {PASS}{SKIP}{more}</testsuite></testsuites>"
        ))
    };
    assert_eq!(jest(2, ""), (1, 0, 1, 0));
    assert_eq!(jest(2, "<testcase name='todo'/>"), (1, 0, 2, 0));
}

#[test]
fn reports_nested_in_a_report_are_read() {
    let inner = format!("<testsuites><testsuite tests='1'>{FAIL}</testsuite></testsuites>");
    let beside = format!("<testsuites>{inner}<testsuite tests='1'>{PASS}</testsuite></testsuites>");
    assert_eq!(counts(&beside), (1, 1, 0, 0));
    let below = format!("<testsuites tests='2'><testsuite tests='2'>{PASS}{inner}</testsuite></testsuites>");
    assert_eq!(counts(&below), (1, 1, 0, 0));
    let message = "not a JUnit report: `s` says that it has 2 tests, and has 1 (line 1)";
    let short = format!("<testsuites><testsuites name='s' tests='2'>{PASS}</testsuites></testsuites>");
    assert_eq!(error_of(&short), message);
}

#[test]
fn results_are_read_at_any_depth() {
    for (inside, expected) in [
        (format!("<group>{FAIL}</group>"), (1, 1, 0, 0)),
        (format!("<a><b><testsuite tests='1' failures='1'>{FAIL}</testsuite></b></a>"), (1, 1, 0, 0)),
        (format!("<group><testsuites>{FAIL}</testsuites></group>"), (1, 1, 0, 0)),
        (format!("<testcase name='x'>{FAIL}{PASS}</testcase>"), (3, 1, 0, 0)),
        (format!("<testcase name='x'><skipped>{FAIL}</skipped></testcase>"), (1, 1, 1, 0)),
        (format!("<testcase name='x'><testsuite>{FAIL}</testsuite></testcase>"), (2, 1, 0, 0)),
        ("<testcase name='x'><outcome><failure/></outcome></testcase>".to_owned(), (1, 1, 0, 0)),
        ("<testcase name='x'><skipped><failure/></skipped></testcase>".to_owned(), (1, 1, 0, 0)),
        ("<outcome><error/></outcome>".to_owned(), (1, 1, 0, 0)),
    ] {
        assert_eq!(counts(&format!("<testsuite>{PASS}{inside}</testsuite>")), expected, "{inside}");
    }
    let nested = "<testsuite><testcase name='x'><outcome><failure message='m'><b>more</b></failure></outcome></testcase></testsuite>";
    let failed = &read(nested).unwrap().failed[0];
    assert_eq!((&*failed.name, &*failed.message), ("x", "more"));
    let nameless = &read("<testsuite><testcase><error/></testcase></testsuite>").unwrap().failed[0];
    assert_eq!(nameless.name, "(a test without a name)");
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
fn cases_beyond_the_declared_count_are_skipped() {
    assert_eq!(
        counts(&format!(
            "<testsuites tests='2'><testsuite tests='2'>{PASS}{PASS}{PASS}</testsuite></testsuites>"
        )),
        (2, 0, 1, 0)
    );
    assert_eq!(counts(&format!("<testsuite tests='1'>{PASS}{FAIL}</testsuite>")), (1, 1, 0, 0));
}

#[test]
fn report_without_tests_is_empty() {
    let cases = [
        ("<testsuites/>".to_owned(), "no test was run"),
        ("<testsuites tests='0'><testsuite tests='0'/></testsuites>".to_owned(), "no test was run"),
        (format!("<testsuite>{SKIP}{SKIP}</testsuite>"), "no test was run; 2 were skipped"),
        (format!("<testsuite tests='0'>{PASS}</testsuite>"), "no test was run; 1 were skipped"),
    ];
    for (text, message) in cases {
        assert_eq!(error_of(&text), format!("nothing was examined: {message}"));
    }
}

#[test]
fn failure_outside_a_case_belongs_to_its_suite() {
    let tests = read(&format!("<testsuite name='s'>{PASS}<error message='no set-up'/></testsuite>")).unwrap();
    assert_eq!((tests.failed[0].name.as_str(), tests.failed[0].message.as_str()), ("s", "no set-up"));
}

#[test]
fn failed_tests_have_their_location() {
    let files = [
        "pytest/shop.xml",
        "pytest/shop-xunit1.xml",
        "jest/sum.xml",
        "playwright/till.xml",
        "node/node.xml",
        "nextest/till.xml",
    ];
    let mut shown = Vec::new();
    for file in files {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(file);
        let tests = read(&std::fs::read_to_string(path).unwrap()).unwrap();
        let test = &tests.failed[0];
        let place = test.place.as_ref().unwrap();
        let first = test.message.lines().next().unwrap();
        shown.push(format!("{} | {first} | {}:{}", test.name, place.path, place.line.unwrap()));
    }
    let expected = [
        "tests.test_price › test_discount[0.25] | AssertionError: the discount is <wrong> & late | tests/test_price.py:12",
        "tests.test_price › test_discount[0.25] | AssertionError: the discount is <wrong> & late | tests/test_price.py:12",
        "sum adds <big> numbers | Error: expect(received).toBe(expected) // Object.is equality | /home/dev/shop/sum.test.js:8",
        "play.spec.js › till › gives change | expect(received).toBe(expected) // Object.is equality | play.spec.js:4",
        "test › adds the tax | Expected values to be strictly equal:3 !== 4 | /home/dev/shop/node.test.mjs:8",
        "till › tests::gives_change | thread 'tests::gives_change' (22827) panicked at src/lib.rs:19:9: | src/lib.rs:19",
    ];
    assert_eq!(shown, expected);
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
        (wrap("", "&b;"), "the entity `b` is not predefined"),
        ("<testsuite name='&b;'/>".to_owned(), "an attribute of `testsuite` is not XML"),
    ];
    for (text, message) in cases {
        let error = error_of(&text);
        assert!(error.contains(message), "{error}");
    }
    for doctype in ["<!DOCTYPE testsuite SYSTEM 'x.dtd'>", "<!DOCTYPE testsuite [<!ELEMENT testsuite ANY>]>"]
    {
        assert_eq!(counts(&format!("{doctype}<testsuite>{PASS}</testsuite>")), (1, 0, 0, 0));
    }
}

#[test]
fn malformed_document_is_an_error() {
    let cases = [
        ("<testsuite><testcase name='a'/>", "cut off: `testsuite` does not end"),
        ("<?xml version='1.0'?>", "cut off: it has no element"),
        ("<testsuite><testcase></testsuite>", "expected `</testcase>`"),
        ("<testsuite></testsuite><testsuite/>", "there is something after its end"),
        ("<testsuite></testsuite>text", "there is text outside of its elements"),
        ("<testsuite a='1' a='2'/>", "has an attribute twice"),
        ("<?xml version='1.0' encoding='klingon'?><testsuite/>", "its encoding `klingon` is unknown"),
        ("<html></html>", "its root is `html`"),
    ];
    for (text, message) in cases {
        let error = error_of(text);
        assert!(error.contains(message), "{error}");
    }
    let deep = "<testsuite>".repeat(1_000);
    assert!(error_of(&deep).contains("nested more than 100 times"));
}

#[test]
fn test_output_in_any_encoding_is_read() {
    let text = |bytes: &[u8]| crate::read(ReportKind::Junit, &mut &*bytes).unwrap().tests.unwrap().failed;
    let document = |declaration: &str, name: &[u8]| {
        let (start, end) = ("<testsuite tests='1' failures='1'><testcase name='", "'><failure>");
        [
            declaration.as_bytes(),
            start.as_bytes(),
            name,
            end.as_bytes(),
            b"was: ",
            name,
            b"</failure></testcase></testsuite>",
        ]
        .concat()
    };
    let cases: [(&str, &[u8], &str); 8] = [
        ("<?xml version='1.0' encoding='ISO-8859-1'?>", b"gr\xf6\xdfer", "größer"),
        ("<?xml version='1.0' encoding='windows-1252'?>\r\n", b"5 \x80", "5 €"),
        ("<?xml version='1.0' encoding='latin1'?>", b"\xe9", "é"),
        ("<?xml version='1.0' encoding='utf8'?>", "é".as_bytes(), "é"),
        // The names contain invalid bytes for their encoding, or characters that XML forbids.
        ("", b"a\xffb", "a\u{fffd}b"),
        ("<?xml version='1.0' encoding='UTF-8'?>", b"a&#0;b", "a\u{fffd}b"),
        ("", b"\x1b[31mred\x1b[0m", "red"),
        ("", b"&#x1b;[31mred&#27;[0m&#8;", "red"),
    ];
    for (declaration, name, shown) in cases {
        let failed = text(&document(declaration, name));
        assert_eq!(
            (&*failed[0].name, &*failed[0].message),
            (shown, &*format!("was: {shown}")),
            "{declaration}"
        );
    }
    let wide: Vec<u8> =
        String::from_utf8(document("<?xml version='1.0' encoding='UTF-16'?>", "é".as_bytes()))
            .unwrap()
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
    assert_eq!(text(&[b"\xff\xfe", &*wide].concat())[0].name, "é");
    assert_eq!(text(&wide)[0].name, "é");
    let cut = crate::read(ReportKind::Junit, &mut &wide[..wide.len() - 6]);
    assert!(matches!(cut, Err(ParseError::Truncated { .. })), "{cut:?}");
}

#[test]
fn damaged_names_are_rejected() {
    for case in ["<fail\u{fffd}ure message='x'/>", "<a stat\u{fffd}us='failed'/>", "<fail\u{1}ure/>"] {
        let report = format!("<testsuite name='s'><testcase name='a'>{case}</testcase></testsuite>");
        let error = error_of(&report);
        assert!(error.contains("has invalid characters"), "{case}: {error}");
    }
}

#[test]
fn huge_text_is_not_kept_in_memory() {
    let start = "<testsuite><testcase name='a'/><system-out>";
    let mut endless = std::io::BufReader::new(std::io::Read::chain(start.as_bytes(), std::io::repeat(b'x')));
    assert!(matches!(crate::read(ReportKind::Junit, &mut endless), Err(ParseError::TooLarge { .. })));
}
