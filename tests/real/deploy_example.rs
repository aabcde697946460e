//! Tests `examples/deploy` as a reader of its README would run it: the blocks of the README, in their order, while
//! its customers make requests.

use std::fs;
use std::process::Command;

use crate::project::{CommandOutput, Project, wait_for};
use crate::shop;

/// The example in a repository of its own. Its processes end with the test.
struct Example(Project);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = Command::new(self.0.path("stop")).arg("--forget").status();
    }
}

/// What the customers have seen.
#[derive(Debug, PartialEq)]
struct Customers {
    failed: usize,
    /// The answers of each release.
    answers: Vec<(String, usize)>,
}

impl Example {
    /// Runs the block of the README that has this name.
    fn step(&self, name: &str) -> CommandOutput {
        let readme = self.0.read("README.md");
        let block = readme.split_once(&format!("<!-- step: {name} -->\n```sh\n")).unwrap().1;
        let block = block.split_once("```").unwrap().0;
        let programs = std::path::Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut command = self.0.command("sh");
        command.env("PATH", path).args(["-c", &format!("exec 2>&1\nset -e\n{block}")]);
        CommandOutput::from_output(command.output().unwrap())
    }

    /// Waits until the customers have written down what they have seen by now.
    fn customers(&self) -> Customers {
        let file = self.0.path(".run/customers.txt");
        let changed = || fs::metadata(&file).unwrap().modified().unwrap();
        // What is written next may have been counted before.
        for _ in 0..2 {
            let before = changed();
            wait_for("customers.txt", || changed() != before);
        }
        let text = fs::read_to_string(&file).unwrap();
        let number = |text: &str| text.split(' ').next().unwrap().parse().unwrap();
        let failed = number(text.lines().next().unwrap().split_once(", ").unwrap().1);
        let answers = text.lines().filter(|line| line.contains(" answers, "));
        let answers = answers.map(|line| line.split_once(": ").unwrap());
        Customers {
            failed,
            answers: answers.map(|(release, rest)| (release.to_owned(), number(rest))).collect(),
        }
    }
}

#[test]
fn readme_leads_from_nothing_to_a_canary_a_rollback_and_a_mistake_that_goes_back() {
    let example = Example(shop::copy("deploy"));
    example.step("start").ends(0).prints("production http://127.0.0.1:27020");
    let first = example.step("first").ends(0);
    first.prints("✓ migrations: expand").prints("\"schema\": \"1-orders\"").prints("\"release\": \"1-");

    let canary = example.step("canary").ends(0);
    let canary = canary.prints("works with the expanded schema").prints("✓ migrations: expand");
    let canary = canary.prints("send 10 % to ").prints("send 50 % to ").prints("2-").prints(" serves");
    let customers = example.customers();
    assert_eq!(customers.failed, 0, "{}", canary.out);
    assert_eq!(customers.answers.len(), 2, "{customers:?}");

    let back = example.step("rollback").ends(0);
    let back = back.prints("roll back to 1-").prints("production: 1-").prints(" serves");
    let customers = example.customers();
    assert_eq!(customers.failed, 0, "{}", back.out);

    // 30 % of the requests of a tenth of the customers fail for some seconds.
    let mistake = example.step("mistake").ends(0);
    mistake.prints("of the requests failed, more than 2 %").prints("production: 1-").prints("exit status 1");
    let customers = example.customers();
    let (total, mistaken) = (
        customers.answers.iter().map(|(_, count)| count).sum::<usize>(),
        customers.answers.iter().find(|(release, _)| release.starts_with("3-")).unwrap().1,
    );
    assert!(customers.failed > 0 && customers.failed < mistaken && mistaken < total / 2, "{customers:?}");

    example
        .step("history")
        .ends(0)
        .prints("production: 1-")
        .prints("failed, went back to 1-")
        .prints("rollback to 1-");
    example.step("stop").ends(0);
    let pids = ["haproxy.pid", "customers.pid", "staging/web-blue.pid"];
    assert!(pids.iter().all(|file| !example.0.path(&format!(".run/{file}")).exists()));
}
