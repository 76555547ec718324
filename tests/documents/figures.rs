//! The figures of the README are those that were measured.

const README: &str = include_str!("../../README.md");
const RESULTS: &str = include_str!("../../benches/RESULTS.md");

#[test]
fn the_table_of_the_readme_is_that_of_the_results() {
    let (_, section) = README.split_once("\n## Performance\n").expect("the section");
    let (table, _) = section.trim_start().split_once("\n\n").expect("the table");
    let mut rows = 0;
    for row in table.lines().skip(2) {
        rows += 1;
        let label = cells(row).next().expect("a label");
        let start = format!("| {label} | ");
        let measured = RESULTS.lines().find(|line| line.starts_with(&start));
        let measured = cells(measured.unwrap_or_else(|| panic!("no results for {label}")));
        // In brackets stand the least and the most.
        let medians = measured.map(|cell| cell.split(" (").next().unwrap_or_default());
        assert!(medians.eq(cells(row)), "{row}");
    }
    assert!(rows > 4, "only {rows} rows");
}

/// The cells of a row of a table.
pub fn cells(row: &str) -> impl Iterator<Item = &str> {
    row.trim_matches(['|', ' ']).split(" | ")
}
