//! Hashing passwords beside everything else that the process does.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::password;

/// How many passwords are hashed at once: each keeps a processor busy for tens of milliseconds, and takes 19 MiB.
const AT_ONCE: usize = 2;

/// How many more may wait for that: about as many as are done before the first of them has waited for too long.
const WAITING: usize = 64;

/// Hashes on threads of its own, so that answers and readings do not wait for it.
pub(crate) struct Hashing {
    at_work: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Hashing {
    pub(crate) fn new() -> Hashing {
        Hashing {
            at_work: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
        }
    }

    /// Whether it is the password of which this is kept; takes as long where nothing is.
    pub(crate) async fn is_password(&self, password: String, kept: Option<String>) -> Result<bool, ApiError> {
        self.run(move || password::is_password(&password, kept.as_deref()))
            .await
    }

    /// What is kept of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        let hash = self.run(move || password::hash(&password)).await?;
        hash.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "could not hash a password"
            );
            BUSY
        })
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| BUSY)?;
        let at_work = self.at_work.clone().acquire_owned().await;
        let at_work: OwnedSemaphorePermit = at_work.map_err(|_| BUSY)?;
        let working = tokio::task::spawn_blocking(move || {
            let answer = work();
            // Only now, also when nobody waits for the answer any more.
            drop(at_work);
            answer
        });
        working.await.map_err(|_| BUSY)
    }
}

const BUSY: ApiError = ApiError::Busy("too many people sign in just now; try again shortly");

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_cannot_be_served_in_time_is_told_to_come_again() {
        let hashing = Hashing::new();
        let busy = hashing.at_work.clone().acquire_many_owned(AT_ONCE as u32).await;
        let mut waiting = Vec::new();
        for _ in 0..AT_ONCE + WAITING {
            let mut one = Box::pin(hashing.is_password("x".to_owned(), None));
            assert!((&mut one).now_or_never().is_none());
            waiting.push(one);
        }
        let refused = hashing.is_password("x".to_owned(), None).await;
        assert!(matches!(refused, Err(ApiError::Busy(_))));
        waiting.truncate(1);
        drop(busy);
        assert!(!waiting.remove(0).await.unwrap());
        let hash = hashing.hash("correct horse".to_owned()).await.unwrap();
        assert!(
            hashing
                .is_password("correct horse".to_owned(), Some(hash))
                .await
                .unwrap()
        );
    }
}
