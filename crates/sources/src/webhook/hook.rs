//! The requests to one task, as a source: all that waits is admitted together.

use super::door::{Delivery, Door};
use super::doors::Doors;
use oncely_core::Fut;
use oncely_core::source::{Batch, Cursor, Receipt, Room, Source, SourceError, Sourced, Verdict};
use oncely_core::task::Existing;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A source of the requests to a task.
pub struct Hook {
    doors: Arc<Doors>,
    door: Arc<Door>,
    arriving: mpsc::Receiver<Delivery>,
    /// Not yet answered, each with its receipt: offered again until it is.
    waiting: VecDeque<(Receipt, Delivery)>,
    last: u64,
}

impl Hook {
    pub(super) fn new(
        doors: Arc<Doors>,
        door: Arc<Door>,
        arriving: mpsc::Receiver<Delivery>,
    ) -> Self {
        Self {
            doors,
            door,
            arriving,
            waiting: VecDeque::new(),
            last: 0,
        }
    }

    fn keep(&mut self, delivery: Delivery) {
        self.last += 1;
        let receipt = Receipt(self.last.to_string());
        self.waiting.push_back((receipt, delivery));
    }

    fn batch(&mut self, room: Room) -> Batch {
        // Whoever gave up waiting sends it again.
        self.waiting
            .retain(|(_, delivery)| !delivery.answer.is_closed());
        while self.waiting.len() < room.events {
            match self.arriving.try_recv() {
                Ok(delivery) => self.keep(delivery),
                Err(_) => break,
            }
        }
        let events = self.waiting.iter().take(room.events);
        let events = events.map(|(receipt, delivery)| Sourced {
            event: delivery.event.clone(),
            receipt: receipt.clone(),
            existing: false,
        });
        Batch {
            events: events.collect(),
            more: !self.arriving.is_empty(),
            ..Batch::default()
        }
    }

    fn answer(&mut self, verdicts: Vec<(Receipt, Verdict)>) {
        for (receipt, verdict) in verdicts {
            let place = self.waiting.iter().position(|(known, _)| *known == receipt);
            let found = place.and_then(|place| self.waiting.remove(place));
            if let Some((_, delivery)) = found {
                // Whoever is gone sends it again, and is told that it is here.
                let _ = delivery.answer.send(verdict);
            }
        }
    }
}

impl Source for Hook {
    fn poll<'a>(
        &'a mut self,
        _after: Option<&'a Cursor>,
        room: Room,
    ) -> Fut<'a, Result<Batch, SourceError>> {
        Box::pin(std::future::ready(Ok(self.batch(room))))
    }

    fn changed(&mut self) -> Fut<'_, ()> {
        Box::pin(async {
            match self.arriving.recv().await {
                Some(delivery) => self.keep(delivery),
                None => std::future::pending().await,
            }
        })
    }

    fn acknowledge<'a>(
        &'a mut self,
        verdicts: Vec<(Receipt, Verdict)>,
    ) -> Fut<'a, Result<(), SourceError>> {
        self.answer(verdicts);
        Box::pin(std::future::ready(Ok(())))
    }

    fn no_room(&mut self) {
        for (_, delivery) in self.waiting.drain(..) {
            // Whoever is gone needs no answer.
            let _ = delivery.answer.send(Verdict::NoRoom);
        }
    }

    fn existing(&self) -> Option<Existing> {
        None
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.doors.close(&self.door);
    }
}
