//! Makes a story shorter, as long as it breaks the same promise.

use super::{Mutation, Story, Violation, run};

/// A story with as few steps as leaving steps out leads to, and how it ends.
pub fn shrunk(mut story: Story, mut violation: Violation, mutation: Option<Mutation>) -> (Story, Violation) {
    let mut size = story.steps.len().div_ceil(2);
    while size > 0 {
        let (mut start, mut is_shorter) = (0, false);
        while start < story.steps.len() {
            let mut candidate = story.clone();
            let end = (start + size).min(candidate.steps.len());
            candidate.steps.drain(start..end);
            match run(&candidate, mutation) {
                Err(again) if again.promise == violation.promise => {
                    (story, violation, is_shorter) = (candidate, *again, true);
                }
                _ => start += size,
            }
        }
        if !is_shorter || size > 1 {
            size /= 2;
        }
    }
    (story, violation)
}
