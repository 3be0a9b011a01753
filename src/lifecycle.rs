//! What runs, and how it stops.
//!
//! One tracker owns every task. Two tokens say how to stop: *soft* asks everything to finish what it has
//! begun; *hard* cuts off what is left. SIGTERM or SIGINT asks softly; a second one, or the deadline after
//! the first, is hard. A task that ends before anybody asked it to, whatever the reason, stops the process.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One death stops the process, so that the first is all there is to know.
const DEATHS: usize = 1;

/// Owns the tasks of the process and the tokens that stop them.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    report: mpsc::Sender<anyhow::Error>,
    deaths: mpsc::Receiver<anyhow::Error>,
    /// The listener for signals: the one task that nothing waits for. It ends with this value.
    signals: JoinSet<()>,
}

impl Lifecycle {
    /// Listens for signals from now on. Stopping may take `stop_within`.
    pub(crate) fn start(stop_within: Duration) -> Result<Lifecycle> {
        let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
        let (report, deaths) = mpsc::channel(DEATHS);
        let mut lifecycle = Lifecycle {
            tracker: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            report,
            deaths,
            signals: JoinSet::new(),
        };

        let (soft, hard) = (lifecycle.soft.clone(), lifecycle.hard.clone());
        lifecycle.signals.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                () = soft.cancelled() => {}
            }
            soft.cancel();
            tokio::select! {
                _ = terminate.recv() => tracing::warn!("second signal: cutting off what is left"),
                _ = interrupt.recv() => tracing::warn!("second signal: cutting off what is left"),
                () = tokio::time::sleep(stop_within) => {
                    tracing::warn!("not stopped in time: cutting off what is left");
                }
            }
            hard.cancel();
        });
        Ok(lifecycle)
    }

    /// Cancelled when the process is to stop, whatever the reason.
    pub(crate) fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// A token for tasks that stop after others: to be cancelled when their turn comes, and cancelled with
    /// *hard* at the latest.
    pub(crate) fn stage(&self) -> CancellationToken {
        self.hard.child_token()
    }

    /// Runs a task until `stop` is cancelled, after which it should end by itself. If it ends, fails or
    /// panics before, the process stops.
    pub(crate) fn spawn<F>(&self, name: &'static str, stop: CancellationToken, task: F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let task = self.tracker.spawn(task);
        let (hard, report) = (self.hard.clone(), self.report.clone());
        self.tracker.spawn(async move {
            let abort = task.abort_handle();
            let outcome = tokio::select! {
                outcome = task => outcome,
                () = hard.cancelled() => {
                    abort.abort();
                    return;
                }
            };
            let death = match outcome {
                Ok(Ok(())) if stop.is_cancelled() => return,
                Ok(Ok(())) => anyhow!("it ended"),
                Ok(Err(error)) => error,
                Err(error) => anyhow!(error),
            };
            let _ = report.try_send(death.context(format!("the task {name:?} died")));
        });
    }

    /// Waits until the process is to stop: because it was asked to, or, with an error, because a task died.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let outcome = tokio::select! {
            () = self.soft.cancelled() => Ok(()),
            death = self.deaths.recv() => death.map_or(Ok(()), Err),
        };
        self.soft.cancel();
        outcome
    }

    /// Stops everything hard, where there is nothing to wait for.
    pub(crate) fn cut_off(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Waits for `step` of stopping, unless it has to be cut off.
    pub(crate) async fn or_cut_off<F: Future>(&self, step: F) -> Option<F::Output> {
        tokio::select! {
            outcome = step => Some(outcome),
            () = self.hard.cancelled() => None,
        }
    }

    /// Waits until all tasks have ended. Their tokens must be cancelled. Fails when one of them died, be it
    /// while it was stopping.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        self.tracker.close();
        self.tracker.wait().await;
        self.deaths.try_recv().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::explain;

    fn start() -> Lifecycle {
        Lifecycle::start(Duration::from_secs(60)).unwrap()
    }

    #[tokio::test]
    async fn a_task_that_dies_stops_the_process() {
        type Task = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;
        let deaths: [(Task, &str); 3] = [
            (Box::pin(async { Ok(()) }), "it ended"),
            (Box::pin(async { Err(anyhow!("no database")) }), "no database"),
            (Box::pin(async { panic!("a fault of ours") }), "a fault of ours"),
        ];
        for (task, reason) in deaths {
            let mut lifecycle = start();
            lifecycle.spawn("worker", lifecycle.stage(), task);
            let error = explain(&lifecycle.run().await.unwrap_err());
            assert!(
                error.starts_with("the task \"worker\" died: ") && error.contains(reason),
                "{error}"
            );
            assert!(lifecycle.soft().is_cancelled());
        }
    }

    #[tokio::test]
    async fn a_task_that_is_told_to_stop_may_end_and_may_not_fail() {
        for (outcome, well) in [(Ok(()), true), (Err(anyhow!("not written")), false)] {
            let mut lifecycle = start();
            let stop = lifecycle.stage();
            let told = stop.clone();
            lifecycle.spawn("worker", stop.clone(), async move {
                told.cancelled().await;
                outcome
            });
            lifecycle.soft().cancel();
            assert!(lifecycle.run().await.is_ok());
            stop.cancel();
            assert_eq!(lifecycle.finish().await.is_ok(), well);
        }
    }

    #[tokio::test]
    async fn what_does_not_stop_is_cut_off() {
        let mut lifecycle = start();
        lifecycle.spawn("deaf", lifecycle.stage(), std::future::pending());
        assert_eq!(lifecycle.or_cut_off(async { 1 }).await, Some(1));
        lifecycle.cut_off();
        assert_eq!(lifecycle.or_cut_off(std::future::pending::<()>()).await, None);
        lifecycle.finish().await.unwrap();
    }
}
