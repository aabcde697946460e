//! Tests of random files: the parser must not panic on any text, and each error must have a hint.

use super::*;

/// Generates the pieces of which files are made that are almost valid.
pub(in crate::config) fn piece() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "[tasks.a]\n",
        "[tasks.b]\n",
        "[[tasks]]\n",
        "[tasks]\n",
        "[files]\n",
        "[tools]\n",
        "[defaults]\n",
        "[settings]\n",
        "[tasks.a.env]\n",
        "run = 'x'\n",
        "run = ['x', 1]\n",
        "needs = ['a', 'b']\n",
        "group = 'a'\n",
        "outputs = ['dist/**', '!dist/x', '{a,b}/*']\n",
        "outputs = ['*']\n",
        "inputs = ['@x', '!@y', '..']\n",
        "x = ['@y', 'a']\n",
        "y = ['@x']\n",
        "env = { A = 'é' }\n",
        "[artifacts.a]\ntask = 'a'\n",
        "[deploy]\nstore = 'ssh://h'\n",
        "[environments.a]\n",
        "[environments.a.roles.b]\n",
        "[environments.a.migrations]\n",
        "driver = 'hosts'\n",
        "driver = 'compose'\nservices = ['a']\n",
        "hosts = [{ ssh = 'a@[::1' }, { local = true, name = '{{' }]\n",
        "start = 'systemctl start {{ slot }} {{ port }} {{'\n",
        "traffic = ['10%', '5 %', '100%']\n",
        "router = { haproxy = '/s' }\n",
        "promote-from = 'a'\n",
        "deploy-windows = [{ days = 'Mon-Xyz', from = '24:00', zone = 'é' }]\n",
        "pass-env = ['A', '?A']\n",
        "timeout = '1m'\n",
        "slots = 0\n",
        "= 1\n",
        "'''\n",
        "\"",
        "{",
        "[",
        "é\r\n",
        "\u{feff}",
        "a.b.c = 1\n",
        "tasks.a.run = 1\n",
        "shell = []\n",
        "\0",
        "# comment\n",
    ]);
    prop_oneof![6 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,12}", 1 => any::<String>()]
}

/// Rust and ECMAScript, whose regular expressions schemas have, differ in whether these are white space.
#[test]
fn schema_accepts_odd_white_space_that_is_accepted() {
    for example in [DESIGN, deploy::EXAMPLE] {
        // At the begin and the end of each value.
        let is_quote = |at: usize| example.as_bytes().get(at) == Some(&b'"');
        for (at, old) in
            example.char_indices().filter(|(at, _)| is_quote(at.wrapping_sub(1)) || is_quote(at + 1))
        {
            for odd in ["\u{feff}", "\u{85}"] {
                let text = [&example[..at], odd, &example[at + old.len_utf8()..]].concat();
                if parse(&source(&text)).is_ok() {
                    schema::tests::assert_schema_accepts(&text);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_a_panic(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        let parsed = parse(&source(&text));
        if parsed.is_ok() {
            schema::tests::assert_schema_accepts(&text);
        }
        if let Err(diagnostics) = parsed {
            prop_assert!(diagnostics.list().next().is_some());
            let has_escapes = diagnostics.render(false).contains('\u{1b}');
            prop_assert!(!has_escapes);
            prop_assert!(!diagnostics.render(true).is_empty());
            prop_assert_eq!(diagnostics.records().len(), diagnostics.list().count());
            for diagnostic in diagnostics.list() {
                prop_assert!(diagnostic.hint.is_some(), "{:?} has no hint", diagnostic);
                prop_assert!(diagnostic.span.end <= text.len());
            }
        }
    }

    #[test]
    fn design_example_with_one_changed_byte_is_loaded_or_refused(at in 0..DESIGN.len(), with in any::<char>()) {
        let mut text: Vec<char> = DESIGN.chars().collect();
        text[at] = with;
        let text: String = text.into_iter().collect();
        match parse(&source(&text)) {
            Ok(_) => schema::tests::assert_schema_accepts(&text),
            Err(diagnostics) => prop_assert!(!diagnostics.render(false).is_empty()),
        }
    }

    #[test]
    fn deploy_example_with_one_changed_byte_is_loaded_or_refused(
        at in 0..deploy::EXAMPLE.len(),
        with in any::<char>(),
    ) {
        let mut text: Vec<char> = deploy::EXAMPLE.chars().collect();
        text[at] = with;
        let text: String = text.into_iter().collect();
        match parse(&source(&text)) {
            Ok(_) => schema::tests::assert_schema_accepts(&text),
            Err(diagnostics) => {
                for diagnostic in diagnostics.list() {
                    prop_assert!(diagnostic.hint.is_some(), "{:?} has no hint", diagnostic);
                }
            }
        }
    }
}
