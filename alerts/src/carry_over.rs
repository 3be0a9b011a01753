//! What a patient's rules remember, carried over into another record, where the versions of the rules have other numbers.

use std::collections::{BTreeMap, HashMap};

use crate::Checkpoint;

/// What rules remember is not of this version of the code, or of other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the rules remember is of another version of Homeward, or of other rules")]
pub struct NotOurs;

/// What a record keeps of a patient's rules, for one in which their versions have these numbers, by those that they had.
pub fn renumber(state: &str, numbers: &HashMap<i64, i64>) -> Result<String, NotOurs> {
    let mut rules: BTreeMap<String, Vec<Checkpoint>> = serde_json::from_str(state).map_err(|_| NotOurs)?;
    let number = |version: &mut i64| {
        *version = match *version {
            // Before anything was judged.
            0 => 0,
            former => *numbers.get(&former).ok_or(NotOurs)?,
        };
        Ok(())
    };
    for checkpoint in rules.values_mut().flatten() {
        number(&mut checkpoint.memory.version)?;
        if let Some(open) = &mut checkpoint.memory.open {
            number(&mut open.version)?;
        }
    }
    Ok(serde_json::to_string(&rules).expect("checkpoints are plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_get_their_numbers_and_all_else_stays() {
        let mark = r#"{"metric":"glucose","at":"2026-11-22T08:00:00Z","value":2.5}"#;
        let state = |judged: i64, raised: i64| {
            format!(
                r#"{{"glucose-low":[{{"at":"2026-11-21T08:00:00Z","memory":{{"version":0}}}},{{"at":"2026-11-22T08:00:00Z","memory":{{"version":{judged},"open":{{"version":{raised},"met_at":"2026-11-22T08:00:00Z","onset":{mark},"latest":{mark},"worst":{mark},"excess":0.1,"late":false}}}}}}]}}"#
            )
        };
        let numbers = HashMap::from([(7, 71), (8, 81)]);
        let parsed = |text: &str| serde_json::from_str::<BTreeMap<String, Vec<Checkpoint>>>(text).unwrap();
        let carried = renumber(&state(8, 7), &numbers).unwrap();
        assert_eq!(parsed(&carried), parsed(&state(81, 71)));
        assert_eq!(renumber(&state(9, 7), &numbers), Err(NotOurs));
        assert_eq!(renumber(r#"{"a":[{"mood":"good"}]}"#, &numbers), Err(NotOurs));
    }
}
