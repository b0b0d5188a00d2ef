//! An alarm that is set anew for each thing a peer says.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings a while after it was set last. The timers of the runtime hear of it seldom: a peer that speaks sets it many
/// times a second, and they would take a lock for each, and wake a thread.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ends after this time. It may be dropped before that, and called again.
    pub(super) async fn after(&mut self, limit: Duration) {
        // As good as never.
        let Some(due) = Instant::now().checked_add(limit) else {
            return pending().await;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        // Where it was set to an earlier time before, it rings for that one first.
        while sleep.deadline() < due {
            sleep.as_mut().await;
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    // Fails where it ends too soon, or hangs.
    #[test]
    fn the_last_setting_counts() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut alarm = Alarm::default();
            // Put off twice, once while it rings already.
            for pause in [1, 40] {
                assert!(
                    timeout(
                        Duration::from_millis(pause),
                        alarm.after(Duration::from_millis(30 + pause))
                    )
                    .await
                    .is_err()
                );
            }
            let begun = Instant::now();
            alarm.after(Duration::from_millis(60)).await;
            assert!(begun.elapsed() >= Duration::from_millis(60));
            // Put forward.
            assert!(
                timeout(Duration::from_millis(1), alarm.after(Duration::from_secs(86_400)))
                    .await
                    .is_err()
            );
            alarm.after(Duration::from_millis(1)).await;
            assert!(
                timeout(Duration::from_millis(1), alarm.after(Duration::MAX))
                    .await
                    .is_err()
            );
            alarm.after(Duration::ZERO).await;
        });
    }
}
