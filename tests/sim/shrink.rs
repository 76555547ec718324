//! Shrinks a failing list of operations: it removes parts as long as the list still fails.

use crate::op::Step;

pub fn shrink(steps: Vec<Step>, fails: &mut dyn FnMut(&[Step]) -> bool) -> Vec<Step> {
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
        } else if steps.len() == before {
            return calm_down(steps, fails);
        }
    }
}

/// Takes the time out from between the operations where it does not matter.
fn calm_down(mut steps: Vec<Step>, fails: &mut dyn FnMut(&[Step]) -> bool) -> Vec<Step> {
    for index in 0..steps.len() {
        let after_ms = std::mem::take(&mut steps[index].after_ms);
        if after_ms > 0 && !fails(&steps) {
            steps[index].after_ms = after_ms;
        }
    }
    steps
}
