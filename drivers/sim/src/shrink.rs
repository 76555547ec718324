//! Finds a short script that still fails.

/// A step of a script that can be made simpler.
pub trait Shrink: Clone {
    /// Returns simpler versions of the step, the simplest first. None by default.
    fn simpler(&self) -> Vec<Self> {
        Vec::new()
    }
}

/// Removes steps, then makes the others simpler, as long as the script still fails.
///
/// The steps must be independent: what a step does may not depend on its place in the list.
///
/// ```
/// use socketio_proto_sim::{Shrink, shrink};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Add(u32);
///
/// impl Shrink for Add {
///     fn simpler(&self) -> Vec<Self> {
///         vec![Add(0)]
///     }
/// }
///
/// let steps = (1..=20).map(Add).collect();
/// let shrunk = shrink(steps, &mut |steps| steps.contains(&Add(13)));
/// assert_eq!(shrunk, [Add(13)]);
/// ```
pub fn shrink<S: Shrink>(steps: Vec<S>, fails: &mut dyn FnMut(&[S]) -> bool) -> Vec<S> {
    let mut steps = steps;
    let mut size = steps.len().div_ceil(2).max(1);
    loop {
        let before = steps.len();
        let mut start = 0;
        while start < steps.len() {
            let end = (start + size).min(steps.len());
            let mut shorter = steps.clone();
            shorter.drain(start..end);
            if fails(&shorter) {
                steps = shorter;
            } else {
                start = end;
            }
        }
        if size > 1 {
            size = size.div_ceil(2);
        } else if steps.len() == before && !remove_pair(&mut steps, fails) {
            simplify(&mut steps, fails);
            return steps;
        }
    }
}

/// The longest script in which pairs of steps are tried.
const PAIRS_MAX: usize = 16;

/// Removes two steps that are only unnecessary together.
fn remove_pair<S: Shrink>(steps: &mut Vec<S>, fails: &mut dyn FnMut(&[S]) -> bool) -> bool {
    if steps.len() > PAIRS_MAX {
        return false;
    }
    for second in 1..steps.len() {
        for first in 0..second {
            let mut shorter = steps.clone();
            shorter.remove(second);
            shorter.remove(first);
            if fails(&shorter) {
                *steps = shorter;
                return true;
            }
        }
    }
    false
}

fn simplify<S: Shrink>(steps: &mut [S], fails: &mut dyn FnMut(&[S]) -> bool) {
    for index in 0..steps.len() {
        for simpler in steps[index].simpler() {
            let step = std::mem::replace(&mut steps[index], simpler);
            if fails(steps) {
                break;
            }
            steps[index] = step;
        }
    }
}
