//! axe-core in the page: the accessibility checker that browsers' own tools are built on.

use serde_json::Value;
use thirtyfour::WebDriver;

use crate::evaluate;

/// Where npm puts it.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node_modules/axe-core/axe.min.js");

/// Every violation with the elements that it is about.
pub(crate) async fn violations(driver: &WebDriver) -> Vec<Value> {
    let axe =
        std::fs::read_to_string(AXE).unwrap_or_else(|error| panic!("{AXE}: {error}: run ./build.sh test, or npm ci"));
    evaluate(driver, &axe).await;
    let run = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(
        ({ violations, passes }) => ({
            passes: passes.length,
            violations: violations.map(({ id, help, nodes }) =>
                ({ id, help, nodes: nodes.map(({ html, failureSummary }) => html + ' ' + failureSummary) })),
        }),
        (error) => ({ passes: 0, violations: [String(error)] }))";
    let found = evaluate(driver, run).await;
    assert!(found["passes"].as_u64().is_some_and(|passes| passes > 5), "axe looked at nothing: {found}");
    found["violations"].as_array().cloned().unwrap_or_default()
}
