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
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Sets it, and does not wait.
    async fn set(alarm: &mut Alarm, limit: Duration) {
        let mut rings = pin!(alarm.after(limit));
        poll_fn(|context| {
            assert!(rings.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    // Fails where it rings too soon, and hangs where it does not.
    #[test]
    fn the_last_setting_counts() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(async {
            let mut alarm = Alarm::default();
            // The first time, put off, and set again once it has rung.
            for (before, limit) in [(None, 20), (Some(10), 40), (None, 40), (Some(30), 60)] {
                if let Some(before) = before {
                    set(&mut alarm, Duration::from_millis(before)).await;
                }
                let (begun, limit) = (Instant::now(), Duration::from_millis(limit));
                alarm.after(limit).await;
                assert!(begun.elapsed() >= limit);
            }
            // Put forward.
            set(&mut alarm, Duration::from_secs(86_400)).await;
            alarm.after(Duration::from_millis(1)).await;
            set(&mut alarm, Duration::MAX).await;
            alarm.after(Duration::ZERO).await;
        });
    }
}
