//! What happens next where a person is asked, and where a step is held: a part of [`decide`].
//!
//! [`decide`]: crate::decide::decide

use crate::Value;
use crate::decide::{Decision, Next, failed, millis_option, text_option};
use crate::fact::{BY_RULE, Fact, Settlement};
use crate::ids::StepId;
use crate::limits;
use crate::question::{NotBy, Notice, Question, Remind, Told, Via};
use crate::run::{Asked, Stage, StepState};
use crate::task::{ActionSpec, Step};
use crate::time::Timestamp;

impl Decision<'_> {
    /// A message whose attempt has not ended is dealt with before anything else. One that may have
    /// been sent is not sent again.
    pub(crate) fn notices(&self) -> Option<Next> {
        let notices = self.state.steps.iter().filter(|(id, _)| Notice::is_id(id));
        for (id, known) in notices {
            match &known.stage {
                Stage::Open { fence } => return Some(self.open(id, known, *fence)),
                Stage::Unknown { .. } => {
                    return Some(Next::Record(Fact::Settled {
                        step: id.clone(),
                        attempt: known.attempts,
                        settlement: Settlement::Happened {
                            output: Value::Null,
                        },
                        by: BY_RULE.into(),
                        reason: "a message that may have been sent is not sent again".into(),
                    }));
                }
                _ => {}
            }
        }
        None
    }

    /// Asks. What is asked, of whom and until when stands in the ledger from then on.
    pub(crate) fn ask(&self, step: &Step, spec: &ActionSpec) -> Next {
        let options = match spec.options.render(&self.context()) {
            Ok(options) => options,
            Err(error) => return failed(&step.id, &error.to_string()),
        };
        let text = text_option(&options, "text").unwrap_or_default().to_owned();
        let tick = texts(&options, "tick");
        if let Some(why) = unreadable(&text, &tick) {
            return failed(&step.id, why);
        }
        let by = texts(&options, "by");
        let not_by = text_option(&options, "not_by").map(|_| NotBy::Starter);
        Next::Record(Fact::Asked {
            step: step.id.clone(),
            question: Question {
                hash: Question::hash_of(&text, &tick),
                expires: millis_option(&options, "expires").map(|ms| self.now.at.plus_millis(ms)),
                tell: self.told(&by, not_by, &texts(&options, "tell")),
                remind: remind(&options),
                text,
                tick,
                by,
                not_by,
            },
        })
    }

    /// Whom a question reaches: all who may answer it and have an address.
    fn told(&self, by: &[String], not_by: Option<NotBy>, ways: &[String]) -> Vec<Told> {
        let starter = self.state.starter.as_deref();
        let mut told = Vec::new();
        for (name, person) in self.subject.people.named(by) {
            if not_by == Some(NotBy::Starter) && starter == Some(name) {
                continue;
            }
            let ways = ways.iter().filter_map(|word| Via::parse(word));
            told.extend(
                ways.filter(|via| person.address(*via).is_some())
                    .map(|via| Told {
                        person: name.to_owned(),
                        via,
                    }),
            );
        }
        told.truncate(limits::TOLD);
        told
    }

    pub(crate) fn asked(&self, step: &Step, asked: &Asked) -> Next {
        let question = &asked.question;
        if question.is_over(self.now.at) {
            return failed(&step.id, "nobody answered in time, which counts as no");
        }
        let mut until = question.expires;
        if !self.state.paused {
            for told in &question.tell {
                match self.message(step, asked, told) {
                    Message::Now(next) => return next,
                    Message::At(moment) => until = Some(until.map_or(moment, |u| u.min(moment))),
                    Message::Never => {}
                }
            }
        }
        Next::Wait {
            until,
            why: format!("step `{}` waits for a person", step.id),
        }
    }

    /// The next message to somebody. Reminders that nobody was there to send are not sent in a row:
    /// the newest stands for them.
    fn message(&self, step: &Step, asked: &Asked, told: &Told) -> Message {
        let (nth, next) = match asked.question.remind {
            Some(remind) => remind.due(asked.at, self.now.at),
            None => (0, None),
        };
        let id = Notice {
            step: step.id.clone(),
            question: asked.seq,
            told: told.clone(),
            nth,
        }
        .id();
        let later = next.map_or(Message::Never, Message::At);
        match self.state.steps.get(&id) {
            None => Message::Now(Next::Start {
                step: id,
                attempt: 1,
            }),
            Some(known) => self.message_again(step, id, known, later),
        }
    }

    /// A message that is known not to have been sent is tried again, until the next one is due.
    fn message_again(&self, step: &Step, id: StepId, known: &StepState, later: Message) -> Message {
        let Stage::Failed {
            at,
            again: true,
            after_ms,
            ..
        } = known.stage
        else {
            return later;
        };
        let policy = &step.policy.retry;
        if known.tries >= policy.attempts {
            return later;
        }
        let due = at.plus_millis(policy.wait_ms(known.tries, id.as_str(), after_ms));
        if due > self.now.at {
            return match later {
                Message::At(moment) => Message::At(moment.min(due)),
                _ => Message::At(due),
            };
        }
        Message::Now(Next::Start {
            step: id,
            attempt: known.attempts + 1,
        })
    }

    /// A step that is held waits from the moment at which it would have been done.
    pub(crate) fn hold(&self, step: &Step, millis: i64) -> Next {
        Next::Record(Fact::Held {
            step: step.id.clone(),
            until: self.now.at.plus_millis(millis),
        })
    }

    pub(crate) fn held(&self, step: &Step, until: Timestamp) -> Next {
        if until > self.now.at {
            return Next::Wait {
                until: Some(until),
                why: format!("step `{}` is held", step.id),
            };
        }
        self.begun(step)
    }
}

/// When somebody is to be sent a message.
enum Message {
    Now(Next),
    At(Timestamp),
    Never,
}

fn remind(options: &Value) -> Option<Remind> {
    let times = options.get("reminders").and_then(Value::as_u64);
    Some(Remind {
        every_ms: millis_option(options, "remind")?,
        times: times
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(REMINDERS),
    })
}

/// Reminders where the task does not say.
pub(crate) const REMINDERS: u32 = 5;

/// What makes a question one that nobody could answer.
fn unreadable(text: &str, tick: &[String]) -> Option<&'static str> {
    if text.trim().is_empty() || tick.iter().any(|thing| thing.trim().is_empty()) {
        return Some("the question, or a thing to be ticked, is empty");
    }
    let long = |text: &str| text.len() > limits::QUESTION_BYTES;
    if long(text) || tick.iter().any(|thing| long(thing)) {
        return Some("the question is too long to be read");
    }
    None
}

fn texts(options: &Value, name: &str) -> Vec<String> {
    let list = options.get(name).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
