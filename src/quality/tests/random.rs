//! Property tests that must hold for any facts.

use super::*;

proptest! {
    #[test]
    fn more_coverage_never_fails_a_rule(reached in 0_u32..500, missed in 0_u32..500, min in 0_u32..=1000, before in 0_u64..=100) {
        prop_assume!(missed > 0);
        let rules = Rules {
            coverage: Some(Coverage { min: Some(f64::from(min) / 10.0), max_drop: Some(1.5), paths: vec![(pattern("a"), 50.0)] }),
            ..Rules::default()
        };
        let record = BaselineFacts { coverage: Some(Ratio { part: before, whole: 100 }), ..BaselineFacts::default() };
        let baseline = Baseline::Known { of: "x".to_owned(), record };
        let of = |reached: u32, missed: u32| {
            let ranges = |count: u32| if count == 0 { vec![] } else { vec![(1, count)] };
            let files = BTreeMap::from([("a".to_owned(), lines(&ranges(reached), &ranges(missed)))]);
            let facts = Facts { coverage: Some(facts::Coverage { files }), ..Facts::default() };
            judged(&rules, &facts, &baseline).rules
        };
        for (less, more) in of(reached, missed).iter().zip(&of(reached + 1, missed - 1)) {
            prop_assert!(less.verdict == Verdict::Broken || more.verdict == Verdict::Holds, "{less:?} {more:?}");
        }
    }

    #[test]
    fn order_of_findings_does_not_matter(
        seeds in proptest::collection::vec((0_u32..3, 0_usize..5, 0_u32..3), 0..12).prop_shuffle(),
    ) {
        let all = [Severity::Note, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let made: Vec<Finding> = seeds
            .iter()
            .map(|(rule, severity, line)| finding(&format!("r{rule}"), all[*severity], "src/b.rs", *line))
            .collect();
        let evidence = |findings: Vec<Finding>| {
            judged(&rules(), &Facts { findings: Some(findings), ..facts() }, &baseline())
        };
        let mut sorted = made.clone();
        sorted.sort();
        prop_assert_eq!(evidence(made), evidence(sorted));
    }
}
