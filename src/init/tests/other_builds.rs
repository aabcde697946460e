//! Tests of `CMake`, Maven, Gradle, .NET, Ruby and PHP, of git hooks and of compose files.

use super::*;

#[test]
fn plain_projects_of_other_languages_get_tasks() {
    let presets = r#"{"configurePresets": [{"name": "base", "hidden": true}, {"name": "dev"}],
        "buildPresets": [{"name": "dev-build", "configurePreset": "dev"}],
        "testPresets": [{"name": "dev-test", "configurePreset": "dev"}]}"#;
    let composer = r#"{"scripts": {"test": "phpunit", "cs-check": "x", "post-install-cmd": "y"}}"#;
    let maven = "on: push\njobs:\n  a:\n    steps:\n      - run: mvn -B install -Prun-its\n";
    check(&[
        (
            &[("CMakeLists.txt", "project(x)\nenable_testing()\n"), ("src/CMakeLists.txt", "")],
            &[
                "test: cmake -S . -B build && cmake --build build --parallel && ctest --test-dir build --output-on-failure",
            ],
        ),
        (
            &[("CMakeLists.txt", ""), ("CMakePresets.json", presets)],
            &["test: cmake --preset dev && cmake --build --preset dev-build && ctest --preset dev-test"],
        ),
        (
            &[("pom.xml", ""), ("mvnw", ""), ("core/pom.xml", "")],
            &["test: ./mvnw --batch-mode --no-transfer-progress verify"],
        ),
        (&[("pom.xml", ""), (".github/workflows/ci.yml", maven)], &["test: mvn -B verify -Prun-its"]),
        (&[("build.gradle.kts", ""), ("gradlew", "")], &["check: ./gradlew --console=plain check"]),
        (
            &[("App.sln", ""), (".editorconfig", ""), ("src/A.csproj", "")],
            &["format: dotnet format App.sln --verify-no-changes", "test: dotnet test App.sln"],
        ),
        (
            &[("Gemfile", ""), (".rubocop.yml", ""), (".rspec", "")],
            &["rubocop: bundle exec rubocop", "rspec: bundle exec rspec"],
        ),
        (&[("Gemfile", ""), ("Rakefile", "Rake::TestTask.new\n")], &["rake-test: bundle exec rake test"]),
        (
            &[("composer.json", composer), ("phpstan.neon", "")],
            &[
                "cs-check: composer run-script cs-check",
                "phpstan: vendor/bin/phpstan analyse",
                "test: composer run-script test",
            ],
        ),
    ]);
}

#[test]
fn check_that_only_a_hook_runs_is_a_task() {
    let lefthook = "pre-push:\n  commands:\n    spell:\n      run: typos\n    staged:\n      run: stylelint {staged_files}\npost-merge:\n  commands:\n    x:\n      run: yamllint .\n";
    let found =
        found(&[("lefthook.yml", lefthook), (".husky/pre-commit", "#!/bin/sh\n. x\nnpm test\nactionlint\n")]);
    assert_eq!(commands(&found), ["actionlint: actionlint", "typos: typos"]);
    assert_eq!(
        omissions(&found),
        ["`stylelint {staged_files}` of lefthook.yml: a git hook runs it, and no task does"]
    );
}

#[test]
fn override_of_a_compose_file_adds_ports_and_services() {
    let found = found(&[
        ("compose.yml", "services:\n  db:\n    image: x\n"),
        (
            "compose.override.yml",
            "services:\n  db:\n    ports: ['${DB:-5433}:5432']\n  mail:\n    image: y\n",
        ),
    ]);
    let services = found.services[0].services.as_ref().unwrap();
    let shown: Vec<String> = services.iter().map(|it| format!("{} {:?}", it.name, it.port)).collect();
    assert_eq!(shown, ["db Some(5433)", "mail None"]);
}
