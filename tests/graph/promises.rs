//! The tests that the page of promises names exist.

use std::path::Path;

#[test]
fn every_promise_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/src/promises.md")).expect("the page");
    let mut promises = 0;
    for row in page.lines().filter(|line| line.starts_with('|')) {
        // | sentence | `file` | `test`, `test` |
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [sentence, file, tests] = cells[..] else { panic!("not three cells: {row}") };
        if sentence == "promise" || sentence.starts_with("---") {
            continue;
        }
        let file = root.join(file.trim_matches('`'));
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}: {row}", file.display()));
        let mut names = tests.split(", ").map(|name| name.trim_matches('`')).peekable();
        assert!(names.peek().is_some_and(|name| !name.is_empty()), "no test: {row}");
        for name in names {
            assert!(is_test(&text, name), "{} has no test {name}: {row}", file.display());
        }
        promises += 1;
    }
    assert!(promises > 30, "only {promises} promises were found");
}

/// Whether `text` has a function of this name right below an attribute that makes it a test, or
/// below documentation that must not compile.
fn is_test(text: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let mut is_marked = false;
    for line in text.lines().map(str::trim_start) {
        if ["#[test]", "#[tokio::test", "/// ```compile_fail"]
            .iter()
            .any(|mark| line.starts_with(mark))
        {
            is_marked = true;
        } else if line.strip_prefix("async ").unwrap_or(line).starts_with(&function) {
            return is_marked;
        } else if line.starts_with("fn ") || line.starts_with("async fn ") {
            is_marked = false;
        }
    }
    false
}
