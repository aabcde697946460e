//! What must always hold of a deploy, and the failures of other programs that it must not have, each with the tests
//! that show it. The test here checks that these tests exist; it must not know how a deploy works.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A claim, and the names of tests or of scenarios in `tests/real/deploy_conformance.rs`.
type Claim = (&'static str, &'static [&'static str]);

const INVARIANTS: &[Claim] = &[
    (
        "1. With traffic steps, no request fails in a deploy or a rollback; otherwise the downtime is reported",
        &[
            "three_ssh_hosts_with_haproxy",
            "ssh_host_with_nginx",
            "slow_request_ends_in_the_old_release",
            "no_request_fails_behind_haproxy_in_deploys_and_rollbacks",
            "replaced_hosts_are_never_all_down",
            "downtime_is_from_the_stop_to_the_successful_health_check",
        ],
    ),
    (
        "2. A deploy that ends leaves the old or the new release serving, or says what serves and ends with 7",
        &[
            "every_step_with_every_outcome_ends_as_the_table_says",
            "failing_start_goes_back",
            "failing_first_deploy_leaves_nothing",
            "first_deploy_that_fails_says_that_nothing_serves",
        ],
    ),
    (
        "3. Killed at any step, the next command knows what was in progress, and nobody deletes a lock",
        &[
            "killed_deploy_is_resumed_at_any_step",
            "killed_deploy_is_aborted_at_any_step_before_the_commit",
            "death_at_every_step_is_resumed_or_aborted",
            "host_that_is_killed_at_any_moment_has_the_old_or_the_new_state",
            "deploy_that_is_killed_at_any_call_is_resumed_without_a_failed_request",
            "deploy_that_is_killed_at_any_call_is_aborted_without_a_failed_request",
            "deploy_that_is_terminated_at_any_call_leaves_old_or_new_without_a_failed_request",
            "file_of_the_target_that_was_cut_off_is_noticed_or_does_no_harm",
            "canary_whose_deployer_is_killed_is_reverted_although_nobody_returns",
        ],
    ),
    (
        "4. Two deploys of one environment never overlap",
        &[
            "second_deploy_at_once_names_the_holder",
            "of_many_requests_at_once_one_is_granted",
            "laptop_that_wakes_up_after_its_lease_was_taken_over_changes_nothing",
            "deploy_that_is_stopped_and_taken_over_changes_nothing_when_it_continues",
            "of_twenty_deploys_at_once_nineteen_name_the_one_that_bakes",
            "of_two_rollbacks_without_the_remote_one_wins_and_the_histories_merge_later",
        ],
    ),
    (
        "5. A health check identifies the release",
        &["answer_of_the_old_release_is_no_success", "start_waits_until_the_release_itself_answers"],
    ),
    (
        "6. Only a whole release that succeeded is a target of a rollback; never across a contract migration",
        &[
            "rollback_goes_only_to_whole_releases_that_succeeded",
            "failed_releases_push_no_good_one_out",
            "contract_waits_until_no_kept_release_needs_the_old_schema",
        ],
    ),
    (
        "7. `--plan` changes nothing",
        &["plan_changes_nothing", "plan_only_observes", "dry_run_migrated_the_database"],
    ),
    (
        "8. What was approved is what is deployed, and what was tested",
        &[
            "plan_id_depends_on_what_is_approved_and_on_nothing_else",
            "approval_of_the_requester_or_a_stranger_or_of_another_plan_does_not_count",
            "promotion_from_another_machine_runs_no_task_and_has_the_same_digests",
        ],
    ),
    (
        "9. Secrets are the current ones, and are in no argument list, journal, log or plan",
        &[
            "secrets_get_to_the_process_and_nowhere_else",
            "rollback_uses_the_current_secret_and_not_the_one_of_then",
            "secret_is_in_no_arguments_and_no_files_on_this_machine",
            "secret_is_in_no_arguments_and_no_files_over_ssh",
        ],
    ),
    (
        "10. In a rehearsal, the old release is started against the expanded schema",
        &[
            "migrations_are_rehearsed_and_expanded_before_the_release_starts",
            "migrations_are_rehearsed_with_the_schema_of_postgresql",
            "unchecked_migration_needs_an_override",
        ],
    ),
    (
        "11. A host that can't be reached does not stop the rollback of the others, which ends with 7",
        &["unreachable_host", "unreachable_host_stops_a_deploy_but_not_a_rollback"],
    ),
];

const FAILURES_OF_OTHERS: &[Claim] = &[
    (
        "a cancelled job leaves a lock that needs deleting by hand",
        &["cancelled_job_leaves_no_lock", "signal_leads_back_to_the_old_release"],
    ),
    (
        "the same person enters their own lock, and the first run's cleanup frees the second's",
        &[
            "every_order_with_an_old_token_or_another_nonce_is_refused",
            "same_person_can_not_enter_their_own_lock",
        ],
    ),
    ("a rollback finds nothing and exits with 0", &["rollback_with_nothing_to_go_to_is_refused"]),
    (
        "a rollback lands on a half release, its target was pruned, or failed releases pushed good ones out",
        &[
            "rollback_goes_only_to_whole_releases_that_succeeded",
            "rollback_names_what_is_missing_on_a_host",
            "rollback_goes_to_the_release_before_whatever_failed_since",
            "rollback_needs_no_registry_and_survives_a_prune",
            "failed_releases_push_no_good_one_out",
        ],
    ),
    ("the health check was answered by the old instance", &["answer_of_the_old_release_is_no_success"]),
    (
        "the proxy's file says green and its process serves blue",
        &["nginx_that_serves_another_release_is_not_success"],
    ),
    (
        "a proxy restart forgets the weights",
        &[
            "restarted_haproxy_has_forgotten_the_weights_and_gets_them_again",
            "reboot_starts_the_same_release",
        ],
    ),
    ("mixed versions after host 2 of 3 failed", &["mixed_versions_after_host_2_of_3_failed"]),
    (
        "traffic goes to an instance that is stopping",
        &["draining_waits_for_a_slow_request", "slow_request_ends_in_the_old_release"],
    ),
    (
        "all measurements failed and the analysis was \"successful\"",
        &["all_measurements_failed_and_the_analysis_was_successful", "no_data_is_never_a_pass"],
    ),
    ("a commit pushed after the approval is deployed", &["commit_pushed_after_the_approval_is_not_deployed"]),
    ("the deployed revision loosens its own policy", &["deployed_revision_can_not_loosen_its_own_policy"]),
    ("a dry run migrated the database", &["dry_run_migrated_the_database"]),
    (
        "the old binary refuses the newer schema, so the rollback crash-loops",
        &["old_binary_refuses_the_newer_schema_so_the_rollback_crash_loops"],
    ),
    (
        "production was built again on another machine and differs",
        &["promotion_from_another_machine_runs_no_task_and_has_the_same_digests"],
    ),
    ("the second slot came with an empty database", &["releases_follow_each_other_and_share_a_database"]),
    (
        "an outage of something that does not serve fails the deploy",
        &[
            "unwritable_summary_or_record_does_not_fail_the_deploy",
            "deploy_goes_on_without_the_journal_and_it_gets_the_records_later",
        ],
    ),
    (
        "\"running\" forever after the deploying machine died",
        &["killed_deploy_is_seen_and_resumed", "weights_come_back_if_the_deploy_is_lost"],
    ),
    ("a stale `ref.lock` on the server is waited for", &["stale_lock_of_the_remote_is_reported_at_once"]),
];

/// Collects the names of tests in a file, and of the scenarios in a table.
fn collect(text: &str, names: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_test {
                names.extend(rest.split('(').next().map(str::to_owned));
            }
            is_test = false;
        } else if let Some((_, name)) = line.strip_prefix("(\"").and_then(|line| line.rsplit_once(", ")) {
            names.extend(name.strip_suffix("),").map(str::to_owned));
        }
    }
}

fn collect_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("deploy_claims.rs")
        {
            collect(&fs::read_to_string(&path).unwrap(), names);
        }
    }
}

#[test]
fn each_claim_has_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect_below(&root.join(folder), &mut names);
    }
    let claims = INVARIANTS.iter().chain(FAILURES_OF_OTHERS);
    let missing: Vec<_> = claims
        .flat_map(|(claim, tests)| {
            assert!(!tests.is_empty(), "{claim}");
            tests.iter().map(move |test| (claim, test))
        })
        .filter(|(_, test)| !names.contains(**test))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}
