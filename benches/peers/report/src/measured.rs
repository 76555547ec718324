//! What was measured: lines of JSON of the load generator, and tables of the loops.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use serde_json::{Map, Value};

/// Sections during which the host took more of the machine are used only if there are no others.
const MOST_STEAL: f64 = 3.0;

pub struct Measured {
    pub machine: BTreeMap<String, String>,
    sections: Vec<Map<String, Value>>,
    /// By implementation, kind and name of the loop: the figures of each round.
    loops: BTreeMap<(String, String, String), Vec<Loop>>,
}

#[derive(Clone, Copy)]
struct Loop {
    cost: f64,
    allocations: Option<f64>,
}

/// A figure, the median of several.
#[derive(Clone, Copy)]
pub struct Figure {
    pub value: f64,
    pub min: f64,
    pub max: f64,
    /// Whether the machine was ours when it was measured.
    pub is_clean: bool,
}

impl Measured {
    pub fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(folder.join("machine"))?;
        let machine = text.lines().filter_map(|line| line.split_once(": "));
        let machine = machine.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let lines = fs::read_to_string(folder.join("servers.jsonl"))?;
        let sections = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let mut loops: BTreeMap<_, Vec<Loop>> = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // node.codec.1
            if let [who, kind, round] = name.split('.').collect::<Vec<_>>()[..]
                && round.parse::<u32>().is_ok()
            {
                for (name, line) in fs::read_to_string(entry.path())?.lines().filter_map(row) {
                    let key = (who.to_owned(), kind.to_owned(), name);
                    loops.entry(key).or_default().push(line);
                }
            }
        }
        Ok(Self { machine, sections, loops })
    }

    /// A field of a section of a server.
    pub fn section(&self, server: &str, workload: &str, field: &str) -> Option<Figure> {
        let of_it = |section: &&Map<String, Value>| {
            section.get("server").is_some_and(|name| name == server)
                && section.get("workload").is_some_and(|name| name == workload)
        };
        let steal = |section: &Map<String, Value>| number(section, "steal_percent").unwrap_or(0.0);
        let all: Vec<_> = self.sections.iter().filter(of_it).collect();
        let clean: Vec<_> =
            all.iter().copied().filter(|section| steal(section) <= MOST_STEAL).collect();
        let is_clean = !clean.is_empty();
        let used = if is_clean { clean } else { all };
        let values = used.iter().filter_map(|section| number(section, field)).collect();
        median(values, is_clean)
    }

    /// Kilobytes of memory per idle connection.
    pub fn memory(&self, server: &str) -> Option<Figure> {
        let idle = self.section(server, "idle", "rss_kb")?;
        let before = self.section(server, "connect", "rss_before_kb")?;
        let clients = self.section(server, "idle", "count")?;
        let each = |kb: f64| (kb - before.value) / clients.value;
        Some(Figure {
            value: each(idle.value),
            min: each(idle.min),
            max: each(idle.max),
            is_clean: true,
        })
    }

    /// The cost of a loop.
    pub fn cost(&self, who: &str, kind: &str, name: &str) -> Option<Figure> {
        let rounds = self.loops.get(&(who.to_owned(), kind.to_owned(), name.to_owned()))?;
        median(rounds.iter().map(|round| round.cost).collect(), true)
    }

    pub fn allocations(&self, who: &str, kind: &str, name: &str) -> Option<f64> {
        let rounds = self.loops.get(&(who.to_owned(), kind.to_owned(), name.to_owned()))?;
        rounds.last()?.allocations
    }

    /// The names of the loops of one kind.
    pub fn names<'a>(&'a self, who: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.loops.keys().filter(move |key| key.0 == who && key.1 == kind);
        keys.map(|(_, _, name)| name.as_str())
    }
}

/// `name    cost    (min-max)    allocations`, the last two perhaps not; other lines are titles.
fn row(line: &str) -> Option<(String, Loop)> {
    let (name, rest) = line.trim_end().split_once("  ")?;
    let mut fields = rest.split_whitespace();
    let cost = fields.next()?.parse().ok()?;
    let allocations = fields.last().and_then(|last| last.parse().ok());
    Some((name.trim().to_owned(), Loop { cost, allocations }))
}

fn number(section: &Map<String, Value>, field: &str) -> Option<f64> {
    section.get(field)?.as_f64()
}

fn median(mut values: Vec<f64>, is_clean: bool) -> Option<Figure> {
    values.sort_by(f64::total_cmp);
    let value = *values.get(values.len() / 2)?;
    Some(Figure { value, min: *values.first()?, max: *values.last()?, is_clean })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_harnesses() {
        let of = |line| row(line).map(|(name, found)| (name, found.cost, found.allocations));
        let ours = "small/encode                                        118.9             (104.3-174.7)        3.000";
        assert_eq!(of(ours), Some(("small/encode".into(), 118.9, Some(3.0))));
        let node =
            "1 rooms, 10 stored, offset at head             235633.9       (228748.0-243925.2)";
        assert_eq!(of(node), Some(("1 rooms, 10 stored, offset at head".into(), 235_633.9, None)));
        let memory = "parked session with 5 rooms                           679.0 bytes";
        assert_eq!(of(memory), Some(("parked session with 5 rooms".into(), 679.0, None)));
        assert_eq!(of("fan-out, per recipient"), None);
        assert_eq!(of("                                 ns     (min-max)  allocations"), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let figure = median(vec![3.0, 1.0, 2.0], true).unwrap();
        assert!((figure.value, figure.min, figure.max) == (2.0, 1.0, 3.0));
        assert!(median(vec![], true).is_none());
    }
}
