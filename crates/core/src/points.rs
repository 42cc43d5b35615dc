//! Named points of the code at which a trial may end the process: before and after each commit, effect,
//! acknowledgement and copy. The list here is the only one. Debug builds and those with the feature
//! `sabotage` pass them; in all others they cost nothing.

macro_rules! points {
    ($($variant:ident $name:literal $what:literal)*) => {
        /// A point that the code passes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $(#[doc = $what] $variant,)*
        }

        impl Point {
            /// All of them, on the way of an event.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What has just been done there, or is about to be.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// How the code calls it.
            #[must_use]
            pub const fn variant(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
    };
}

points! {
    SourcePolled "source.polled" "A source has said what is there, and nobody has it yet."
    SpoolCopied "spool.copied" "A copy is whole, under its passing name."
    SpoolMoved "spool.moved" "A copy has its name, and its folder is not synced."
    SpoolKept "spool.kept" "A copy is durable."
    HookTaken "hook.taken" "A request is read and proved, and the ledger has nothing of it."
    HookKnown "hook.known" "The ledger has a request, and its sender has not been told."
    AdmitBefore "admit.before" "Events are about to be admitted, and a cursor to move with them."
    AdmitAfter "admit.after" "Events are admitted and the cursor has moved, and nobody has been told."
    AcknowledgeBefore "acknowledge.before" "A source is about to be told what became of its events."
    AcknowledgeAfter "acknowledge.after" "A source has been told."
    ClaimAfter "claim.after" "A run is held, and nothing of it was decided."
    IntentBefore "intent.before" "The intent of an attempt is about to be committed."
    IntentAfter "intent.after" "The intent of an attempt is committed."
    EffectBefore "effect.before" "An action is about to act."
    EffectAfter "effect.after" "An action has acted."
    InverseBefore "inverse.before" "An action is about to take back what it did."
    InverseAfter "inverse.after" "An action has taken back what it did."
    OutcomeBefore "outcome.before" "The outcome of an attempt is about to be committed."
    OutcomeAfter "outcome.after" "The outcome of an attempt is committed."
    RestBefore "rest.before" "It is about to be committed that a run waits."
    RestAfter "rest.after" "It is committed that a run waits."
    EndBefore "end.before" "The end of a run is about to be committed."
    EndAfter "end.after" "The end of a run is committed."
    UndoneBefore "undone.before" "It is about to be committed that a run is taken back."
    UndoneAfter "undone.after" "It is committed that a run is taken back."
    UndoAskedBefore "undo.asked.before" "The run that takes another one back is about to be admitted."
    UndoAskedAfter "undo.asked.after" "The run that takes another one back is admitted."
    PersonBefore "person.before" "What somebody says to a run is about to be committed."
    PersonAfter "person.after" "What somebody says to a run is committed."
    LookBefore "look.before" "An attempt that nobody knows about is about to be looked up."
    LookAfter "look.after" "An attempt was looked up, and nothing of it is recorded."
    ItemIntentBefore "item.intent.before" "The intent of an item is about to be committed."
    ItemIntentAfter "item.intent.after" "The intent of an item is committed."
    ItemOutcomeBefore "item.outcome.before" "The outcome of an item is about to be committed."
    ItemOutcomeAfter "item.outcome.after" "The outcome of an item is committed."
    ItemsTakenBefore "items.taken.before" "The rows of a wave are about to be written down."
    ItemsTakenAfter "items.taken.after" "The rows of a wave are written down."
    ItemsToldBefore "items.told.before" "The ledger is about to be told how far a stream is."
    ItemsToldAfter "items.told.after" "The ledger knows how far a stream is."
    RowsOpened "rows.opened" "The mark of a stream of rows is taken over."
    RowsBefore "rows.before" "A range of rows is about to be written."
    RowsApplied "rows.applied" "A range and its mark are written, and not committed."
    RowsCommitted "rows.committed" "A range and its mark are committed, and the ledger does not know."
    SqlApplied "sql.applied" "The statements of a step and its mark are written, and not committed."
    SqlCommitted "sql.committed" "The statements of a step and its mark are committed."
    CommandStarted "command.started" "A program is started."
    CommandEnded "command.ended" "A program has ended."
    HttpAnswered "http.answered" "The head of an answer is there, and its body is not read."
    MailTaken "mail.taken" "The mail server has taken a mail."
    PutWritten "put.written" "A file is whole, under its passing name."
    PutPlaced "put.placed" "A file has its name, and its folder is not synced."
    PutRemoved "put.removed" "A file is removed, and its folder is not synced."
    LedgerBegun "ledger.begun" "A group has its transaction, and nothing is written."
    LedgerApplied "ledger.applied" "A group is written, and not committed."
    LedgerCommitted "ledger.committed" "A group is committed, and nobody has been told."
    LedgerAnswered "ledger.answered" "Everybody in a group has been told."
}

impl Point {
    /// The point of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

/// Who is told of each point that is passed, with the task and the step where they are known.
pub type Visitor = fn(Point, &str, &str);

#[cfg(any(debug_assertions, feature = "sabotage"))]
static VISITOR: std::sync::OnceLock<Visitor> = std::sync::OnceLock::new();

/// Whether this build has the points.
pub const THERE: bool = cfg!(any(debug_assertions, feature = "sabotage"));

/// Has every point told to this visitor, once for the life of the process.
pub fn visit(visitor: Visitor) {
    #[cfg(any(debug_assertions, feature = "sabotage"))]
    let _ = VISITOR.set(visitor);
    #[cfg(not(any(debug_assertions, feature = "sabotage")))]
    let _ = visitor;
}

/// The code passes a point.
#[inline(always)]
pub fn pass(point: Point) {
    pass_in(point, "", "");
}

/// The code passes a point, with a step of a task.
#[inline(always)]
pub fn pass_in(point: Point, task: &str, step: &str) {
    #[cfg(any(debug_assertions, feature = "sabotage"))]
    if let Some(visitor) = VISITOR.get() {
        visitor(point, task, step);
    }
    #[cfg(not(any(debug_assertions, feature = "sabotage")))]
    let _ = (point, task, step);
}
