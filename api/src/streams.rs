//! How many streams of events each caller has: each takes one of the connections that there are for all, for as long as it
//! lasts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::ApiError;

/// The streams of one kind, by the role that follows them.
#[derive(Clone)]
pub(crate) struct Streams {
    most: usize,
    open: Arc<Mutex<HashMap<i64, usize>>>,
}

/// One of a caller's streams, for as long as it lasts.
pub(crate) struct Turn {
    streams: Streams,
    held_role: i64,
}

impl Streams {
    /// Of which each caller may have so many at a time.
    pub(crate) fn new(most: usize) -> Streams {
        Streams {
            most,
            open: Arc::default(),
        }
    }

    /// Begins one.
    pub(crate) fn take(&self, held_role: i64) -> Result<Turn, ApiError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(held_role).or_default();
        if *count >= self.most {
            return Err(ApiError::Busy(
                "so many streams are open already; close one of them",
            ));
        }
        *count += 1;
        Ok(Turn {
            streams: self.clone(),
            held_role,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.held_role) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.held_role);
            }
        }
    }
}
