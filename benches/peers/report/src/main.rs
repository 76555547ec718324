//! Makes `RESULTS.md`, `results.svg` and the table of targets of what was measured.
//! Usage: `report MEASURED WRITTEN`, two folders.

mod details;
mod measured;
mod plot;
mod targets;

use std::{env, error::Error, fs, path::Path};

use crate::measured::Measured;

/// What is to be said about the targets, written by hand.
const NOTES: &str = include_str!("../../NOTES.md");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: report MEASURED WRITTEN".into());
    };
    let measured = Measured::read(Path::new(&from))?;
    let targets = targets::table(&measured);
    println!("{targets}");
    let to = Path::new(&to);
    fs::write(to.join("RESULTS.md"), details::document(&measured, &targets, NOTES))?;
    fs::write(to.join("results.svg"), plot::draw(&measured))?;
    Ok(())
}
