//! A round of a step that is done in rounds, and the look before it: what their attempts are
//! recorded under, and how people read it.

use crate::ids::StepId;
use std::fmt;

/// A round of a step, or a look before it: an effect of its own, with a key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The step.
    pub step: StepId,
    /// Which round: from 1.
    pub nth: u32,
    /// 0 for the round itself; else which look before it this is, from 1.
    pub look: u32,
}

impl Round {
    /// A round itself.
    #[must_use]
    pub fn of(step: &StepId, nth: u32) -> Self {
        Self::look(step, nth, 0)
    }

    /// A look before a round.
    #[must_use]
    pub fn look(step: &StepId, nth: u32, look: u32) -> Self {
        let step = step.clone();
        Self { step, nth, look }
    }

    /// What its attempts are recorded under. No step of a task file has such an id.
    #[must_use]
    pub fn id(&self) -> StepId {
        let Self { step, nth, look } = self;
        match look {
            0 => StepId::new(format!("{step}#{nth}")),
            look => StepId::new(format!("{step}#{nth}.check{look}")),
        }
    }

    /// The step that something is recorded of.
    #[must_use]
    pub fn step_of(id: &StepId) -> StepId {
        Self::parse(id).map_or_else(|| id.clone(), |round| round.step)
    }

    /// The round of this id; none when it is the id of a step.
    #[must_use]
    pub fn parse(id: &StepId) -> Option<Self> {
        let (step, rest) = id.as_str().split_once('#')?;
        let (nth, look) = match rest.split_once(".check") {
            Some((nth, look)) => (nth, look.parse().ok().filter(|look| *look > 0)?),
            None => (rest, 0),
        };
        let nth = nth.parse().ok().filter(|nth| *nth > 0)?;
        Some(Self::look(&step.into(), nth, look))
    }
}

/// How people read what attempts are recorded under: a step, or a round of one.
pub struct Named<'a>(pub &'a StepId);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Round::parse(self.0) {
            None => write!(f, "`{}`", self.0),
            Some(Round { step, nth, look: 0 }) => write!(f, "`{step}`, round {nth}"),
            Some(Round { step, nth, .. }) => write!(f, "`{step}`, check before round {nth}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_round_is_recorded_under_is_read_back_and_is_no_step() {
        let step = StepId::from("remind");
        for round in [Round::of(&step, 12), Round::look(&step, 3, 2)] {
            assert_eq!(Round::parse(&round.id()), Some(round));
        }
        for id in [
            "remind",
            "remind#",
            "remind#0",
            "remind#a",
            "remind#1.check0",
            "s/1/email/a/0",
        ] {
            assert_eq!(Round::parse(&id.into()), None, "{id}");
        }
        assert_eq!(Named(&step).to_string(), "`remind`");
        assert_eq!(Named(&"remind#3".into()).to_string(), "`remind`, round 3");
        let look = StepId::from("remind#3.check1");
        assert_eq!(Named(&look).to_string(), "`remind`, check before round 3");
    }
}
