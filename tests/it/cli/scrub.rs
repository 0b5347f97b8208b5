//! Takes out of a transcript what differs from run to run.

use std::sync::LazyLock;

use regex::Regex;

/// What is taken out, and what stands in for it.
static FILTERS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[time]"),
        (r"\b\d\d:\d\d:\d\d UTC", "[time]"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r", in \d+[dhms]( \d+[dhms])?\b", ", in [span]"),
        (r"\b(stands|stood) [0-9dhms ]+ before\b", "$1 [span] before"),
        (r"\bask again in \d+[dhms]( \d+[dhms])?", "ask again in [span]"),
        (r"\b\d+[dhms]( \d+[dhms])? ago\b", "[span] ago"),
        (r"\btester@[^\s,:)]+", "tester@[host]"),
        (r"\bpid \d+", "pid [pid]"),
        (r"\bin \d+ ms\b", "in [n] ms"),
        (r"\b\d+ bytes\b", "[n] bytes"),
        (r"127\.0\.0\.1:\d+", "[elsewhere]"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[attempt]"),
    ]
    .into_iter()
    .map(|(pattern, stand_in)| (Regex::new(pattern).unwrap(), stand_in))
    .collect()
});

pub(super) fn scrub(text: &str, home: &str, graph: &str) -> String {
    let text = text.replace(home, "[home]").replace(graph, "[graph]");
    let mut scrubbed = text;
    for (pattern, stand_in) in FILTERS.iter() {
        scrubbed = pattern.replace_all(&scrubbed, *stand_in).into_owned();
    }
    scrubbed
}
