//! Plays commands on two ledgers and compares every answer.

use super::follow::facts;
use super::items::{aside, item_intent, item_outcome, items};
use super::names::{Names, answer_by_name, leased_by_name, lines};
use super::random::{Command, Doing, Guarding, Rough, Stating};
use super::stage::{Stores, environment, sql, unit};
use oncely_core::forget::Forget;
use oncely_core::ids::{ContentHash, Environment, Fence, Generation, RunId};
use oncely_core::ledger::{
    Admission, Answer, Claim, Filter, Guard, Ledger, Op, Query, RunRef, RunRow, Unit, UnitResult,
    What,
};
use oncely_core::prune::{Place, Prune};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::source::Cursor;
use oncely_core::time::{Clock, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// Two ledgers that should be one, with two handles on each.
pub struct Pair<'s, A: Stores, B: Stores> {
    pub(super) a: &'s A,
    b: &'s B,
    pub(super) handles: Vec<(A::Handle, B::Handle)>,
    /// Holders by a number that both sides share.
    pub(super) names: (Names, Names),
    next_name: i64,
    pub(super) environment: Environment,
}

pub type Check = Result<(), String>;

fn same<T: PartialEq + std::fmt::Debug>(what: &dyn std::fmt::Debug, a: &T, b: &T) -> Check {
    if a == b {
        return Ok(());
    }
    Err(format!("{what:?}\n  model {a:?}\n  store {b:?}"))
}

/// The same unit in the SQL that all databases share.
fn in_plain_sql(unit: &Unit) -> Unit {
    let mut unit = unit.clone();
    for op in &mut unit.ops {
        let Op::Sql(statements) = op else { continue };
        for statement in statements {
            statement.text = statement
                .text
                .replace("insert or rollback", "insert")
                .into();
        }
    }
    unit
}

/// Each database has its own words for the same fault.
fn without_words(results: Vec<UnitResult>) -> Vec<UnitResult> {
    let plain = |result| match result {
        UnitResult::SqlFailed(_) => UnitResult::SqlFailed(String::new()),
        other => other,
    };
    results.into_iter().map(plain).collect()
}

/// Plays a sequence, and leaves nothing held.
pub async fn play<A: Stores, B: Stores>(
    pair: &mut Pair<'_, A, B>,
    seed: u64,
    commands: &[Command],
) -> Check {
    pair.environment = format!("e{seed}").into();
    for (n, command) in commands.iter().enumerate() {
        let done = pair.command(command).await;
        done.map_err(|why| format!("command {n}, {command:?}: {why}"))?;
        if (seed + n as u64).is_multiple_of(3) {
            pair.compare_rows().await?;
        }
    }
    pair.compare_everything().await?;
    pair.let_go().await
}

impl<'s, A: Stores, B: Stores> Pair<'s, A, B> {
    /// Two fresh ledgers with a table for the statements of tasks.
    pub async fn new(a: &'s A, b: &'s B) -> Self {
        let (pair, made) = Self::begin(a, b).await;
        made.unwrap();
        pair
    }

    /// Two ledgers with two handles each.
    pub(super) fn opened(a: &'s A, b: &'s B) -> Self {
        let handles = vec![(a.open(), b.open()), (a.open(), b.open())];
        Self {
            a,
            b,
            handles,
            names: Default::default(),
            next_name: 0,
            environment: environment(),
        }
    }

    pub(super) fn learn_names(&mut self) {
        for (a, b) in &self.handles {
            let (a, b) = (a.holder(), b.holder());
            if !self.names.0.contains_key(&a) || !self.names.1.contains_key(&b) {
                self.next_name += 1;
                self.names.0.insert(a, self.next_name);
                self.names.1.insert(b, self.next_name);
            }
        }
    }

    fn now(&self) -> i64 {
        self.a.clock().now().0
    }

    pub(super) async fn command(&mut self, command: &Command) -> Check {
        match command {
            Command::Commit(handle, rough) => self.commit(*handle, rough).await,
            Command::Lease {
                handle,
                limit,
                cap,
                except,
                suspects,
                early,
            } => {
                let claim = Claim {
                    environment: self.environment.clone(),
                    now: Timestamp(self.now() - early),
                    limit: *limit,
                    caps: cap.map(|cap| ("t0".into(), cap)).into_iter().collect(),
                    except: except.then(|| "t1".into()).into_iter().collect(),
                    suspects: *suspects,
                };
                self.lease(*handle, What::Runs, claim).await
            }
            Command::LeaseRun(handle, pick) => {
                let run = self.pick(*pick).await.map_or(RunId(0), |row| row.id);
                let claim = self.claim();
                self.lease(*handle, What::Run(run), claim).await
            }
            Command::LeaseName(handle) => {
                let (name, claim) = (self.shared_name(), self.claim());
                self.lease(*handle, What::Named(name), claim).await
            }
            Command::Prune {
                handle,
                age,
                failed,
                runs,
            } => self.prune(*handle, *age, *failed, *runs).await,
            Command::Forget { handle, run, both } => self.forget(*handle, *run, *both).await,
            Command::Renew(handle) => self.renew(*handle).await,
            Command::Advance(millis) => {
                self.a.clock().advance(*millis);
                self.b.clock().advance(*millis);
                Ok(())
            }
            Command::Kill(handle) => {
                let (a, b) = self.handles.remove(*handle);
                self.a.kill(a);
                self.b.kill(b);
                self.open(*handle);
                Ok(())
            }
            Command::Restart(handle) => {
                drop(self.handles.remove(*handle));
                self.open(*handle);
                Ok(())
            }
        }
    }

    fn open(&mut self, place: usize) {
        self.handles.insert(place, (self.a.open(), self.b.open()));
        self.learn_names();
    }

    fn claim(&self) -> Claim {
        Claim {
            environment: self.environment.clone(),
            now: Timestamp(self.now()),
            limit: 5,
            caps: Vec::new(),
            except: Vec::new(),
            suspects: true,
        }
    }

    /// A name that only this sequence uses.
    fn shared_name(&self) -> String {
        format!("name-{}", self.environment)
    }

    async fn renew(&mut self, handle: usize) -> Check {
        let (a, b) = &self.handles[handle];
        let (a, b) = (a.renew().await, b.renew().await);
        self.learn_names();
        same(&"renew", &a, &b)
    }

    async fn prune(&self, handle: usize, age: i64, failed: bool, runs: usize) -> Check {
        let mut part = Prune {
            runs,
            ..super::pruning::part()
        };
        part.old.environment = self.environment.clone();
        part.old.before = Timestamp(self.now() - age + 1);
        part.old.failed = failed;
        let (a, b) = &self.handles[handle];
        for dry in [true, false] {
            part.dry = dry;
            let ours = super::pruning::each(a, part.clone()).await;
            let theirs = super::pruning::each(b, part.clone()).await;
            same(&part, &ours, &theirs)?;
        }
        Ok(())
    }

    async fn forget(&self, handle: usize, run: u64, both: bool) -> Check {
        let mut runs = Vec::new();
        for pick in [Some(run), both.then_some(run + 1)].into_iter().flatten() {
            runs.extend(self.pick(pick).await.map(|row| row.id));
        }
        let wanted = Forget {
            runs,
            by: "bo".into(),
            reason: "asked".into(),
            at: Timestamp(self.now()),
        };
        let (a, b) = &self.handles[handle];
        let (ours, theirs) = (
            a.forget(wanted.clone()).await,
            b.forget(wanted.clone()).await,
        );
        same(&wanted, &ours, &theirs)?;
        // Items go after it, so many at a time.
        let mut items = super::pruning::part();
        items.old.environment = self.environment.clone();
        (items.from, items.rows) = (Place::Items, 3);
        super::pruning::whole(a, items.clone()).await;
        super::pruning::whole(b, items).await;
        Ok(())
    }

    async fn lease(&self, handle: usize, what: What, claim: Claim) -> Check {
        let (a, b) = &self.handles[handle];
        let ours = a.lease(what.clone(), claim.clone()).await;
        let theirs = b.lease(what, claim).await;
        same(
            &"lease",
            &ours.map(|leased| leased_by_name(leased, &self.names.0)),
            &theirs.map(|leased| leased_by_name(leased, &self.names.1)),
        )
    }

    async fn commit(&self, handle: usize, rough: &[Rough]) -> Check {
        let mut units = Vec::new();
        for rough in rough {
            units.push(self.unit(handle, rough).await);
        }
        let (a, b) = &self.handles[handle];
        let ours = a.commit(units.clone()).await;
        if self.b.speaks_sqlite() {
            let theirs = b.commit(units.clone()).await;
            return same(&units, &ours, &theirs);
        }
        let theirs = b.commit(units.iter().map(in_plain_sql).collect()).await;
        same(&units, &ours.map(without_words), &theirs.map(without_words))
    }

    /// The rows of this sequence, as the model has them.
    async fn rows(&self) -> Vec<RunRow> {
        match self.handles[0].0.read(Query::Runs(self.filter())).await {
            Ok(Answer::Runs(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            environment: Some(self.environment.clone()),
            ..Filter::default()
        }
    }

    async fn pick(&self, pick: u64) -> Option<RunRow> {
        let mut rows = self.rows().await;
        rows.reverse();
        let place = usize::try_from(pick).unwrap().checked_rem(rows.len())?;
        rows.into_iter().nth(place)
    }

    async fn unit(&self, handle: usize, rough: &Rough) -> Unit {
        let row = self.pick(rough.run).await;
        let run = row.as_ref().map_or(RunId(0), |row| row.id);
        let admits = matches!(rough.ops.first(), Some(Doing::Admit { .. }));
        let target = if admits { RunRef::New } else { RunRef::Id(run) };
        let guards = self.guards(handle, rough.guard, row.as_ref()).await;
        let mut state = self.state(target).await;
        let ops = rough
            .ops
            .iter()
            .map(|op| self.op(op, target, run, &mut state, row.as_ref()))
            .collect();
        Unit { guards, ops }
    }

    async fn state(&self, run: RunRef) -> RunState {
        let RunRef::Id(run) = run else {
            return RunState::default();
        };
        match self.handles[0].0.read(Query::Facts(run, 0)).await {
            Ok(Answer::Facts(facts)) => RunState::fold(&facts).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn guards(&self, handle: usize, kind: Guarding, row: Option<&RunRow>) -> Vec<Guard> {
        let run = row.map_or(RunId(0), |row| row.id);
        let fence = row.map_or(Fence(0), |row| row.fence);
        let seq = row.map_or(0, |row| row.seq);
        let at = |seq| Guard::RunSeq(run, seq);
        match kind {
            Guarding::Nothing => vec![],
            Guarding::Fence => vec![Guard::Fence(run, fence)],
            Guarding::StaleFence => vec![Guard::Fence(run, Fence(fence.0 - 1))],
            Guarding::Seq => vec![at(seq)],
            Guarding::WrongSeq => vec![at(seq + 1)],
            Guarding::FenceAndSeq => vec![Guard::Fence(run, fence), at(seq)],
            Guarding::Cursor(right) => {
                let model = &self.handles[handle].0;
                let found = model.read(Query::Cursor(self.shared_name())).await.unwrap();
                let Answer::Cursor(found) = found else {
                    panic!()
                };
                let found = found.filter(|_| right);
                vec![Guard::Cursor(self.shared_name(), found)]
            }
            Guarding::Generation(first) => {
                let key = row.map_or("k0".into(), |row| row.key.clone());
                let task = row.map_or("t0".into(), |row| row.task.clone());
                let from = first.then_some(Generation(1));
                vec![Guard::Generation(self.environment.clone(), task, key, from)]
            }
            Guarding::Named => vec![Guard::Named(self.shared_name(), Fence(1))],
        }
    }

    fn op(
        &self,
        op: &Doing,
        target: RunRef,
        run: RunId,
        state: &mut RunState,
        row: Option<&RunRow>,
    ) -> Op {
        let fence = row.map_or(Fence(1), |row| row.fence);
        let at = Timestamp(self.now());
        let earlier = |millis: i64| Timestamp(self.now() + 10 - millis);
        match *op {
            Doing::Admit { .. } => Op::Admit(self.admission(op)),
            Doing::Facts(adding) => Op::Facts {
                run: target,
                at,
                facts: facts(adding, state, at, fence),
            },
            Doing::Stand { status, due, keep } => Op::Run {
                run: target,
                status: RunStatus::ALL[status],
                due: due.map(earlier),
                keep,
            },
            Doing::Wake(millis) => Op::Wake(run, earlier(millis)),
            Doing::Release(millis) => Op::Release(run, earlier(millis)),
            Doing::Items(n) => items(run, "each", n, vec![aside(n, "once"), aside(n + 1, "more")]),
            Doing::ItemFacts(n, outcome) => Op::ItemFacts {
                run,
                step: "each".into(),
                facts: vec![if outcome {
                    item_outcome(n)
                } else {
                    item_intent(n, fence)
                }],
            },
            Doing::Cursor(n) => Op::Cursor(self.shared_name(), Cursor(n.to_string())),
            Doing::Store(n) => {
                let content: Arc<[u8]> = Arc::from(format!("content {n}").as_bytes());
                Op::Store(ContentHash::of(&content), content)
            }
            Doing::Sql(stating) => self.statement(stating),
            Doing::ReleaseName => Op::ReleaseName(self.shared_name(), Fence(1)),
        }
    }

    fn admission(&self, op: &Doing) -> Admission {
        let Doing::Admit {
            key,
            generation,
            task,
            lane,
            claimed,
            skipped,
        } = *op
        else {
            panic!("{op:?} admits nothing");
        };
        Admission {
            environment: self.environment.clone(),
            task: format!("t{task}").into(),
            key: format!("k{key}").into(),
            generation: Generation(generation),
            trigger: "call",
            event: r#"{"a":1}"#.into(),
            lane: lane.map(|lane| format!("lane{lane}")),
            depth: 0,
            parent: None,
            at: Timestamp(self.now()),
            claimed,
            status: if skipped {
                RunStatus::Skipped
            } else {
                RunStatus::Pending
            },
        }
    }

    fn statement(&self, stating: Stating) -> Op {
        let value = |n: u64| json!(format!("{}-{n}", self.environment));
        match stating {
            Stating::Insert(n) => sql("insert into t values (:a)", &[("a", value(n))]),
            Stating::InsertOrRollback(n) => {
                sql("insert or rollback into t values (:a)", &[("a", value(n))])
            }
            Stating::Wrong => sql("insert into nowhere values (1)", &[]),
            Stating::Forbidden => sql("select * from oncely_runs", &[]),
        }
    }

    async fn ask(&self, query: Query) -> Check {
        let (a, b) = (&self.handles[1].0, &self.handles[1].1);
        let ours = a.read(query.clone()).await.unwrap();
        let theirs = b.read(query.clone()).await.unwrap();
        same(
            &query,
            &answer_by_name(ours, &self.names.0),
            &answer_by_name(theirs, &self.names.1),
        )
    }

    async fn compare_rows(&self) -> Check {
        self.ask(Query::Runs(self.filter())).await
    }

    async fn compare_everything(&self) -> Check {
        self.compare_rows().await?;
        let here = || self.environment.clone();
        for query in [
            Query::Newest(here()),
            Query::Counts(here()),
            Query::NextDue(here()),
            Query::Holders,
            Query::Cursor(self.shared_name()),
            Query::NameHolder(self.shared_name()),
            Query::Names,
            Query::Prunes(3),
        ] {
            self.ask(query).await?;
        }
        let ids = self.rows().await.iter().map(|row| row.id).collect();
        self.ask(Query::Began(ids)).await?;
        for row in self.rows().await {
            self.ask(Query::Facts(row.id, row.seq / 2)).await?;
            self.ask(Query::Progress(row.id, "each".into())).await?;
            self.ask(Query::SetAside(row.id, 1, 2)).await?;
            self.ask(Query::ItemFacts(row.id, "each".into(), 1..4))
                .await?;
        }
        Ok(())
    }

    /// Gives everything back, so that the next sequence starts from nothing.
    async fn let_go(&mut self) -> Check {
        for handle in [0, 1, 0, 1] {
            self.renew(handle).await?;
        }
        let name = self.shared_name();
        for row in self.rows().await {
            let release = unit(
                vec![Guard::Fence(row.id, row.fence)],
                vec![Op::Release(row.id, Timestamp(0))],
            );
            for (a, b) in &self.handles {
                let ours = a.commit(vec![release.clone()]).await;
                same(&"release", &ours, &b.commit(vec![release.clone()]).await)?;
            }
        }
        for fence in 1..4 {
            let give = unit(vec![], vec![Op::ReleaseName(name.clone(), Fence(fence))]);
            for (a, b) in &self.handles {
                let ours = a.commit(vec![give.clone()]).await;
                same(&"give back", &ours, &b.commit(vec![give.clone()]).await)?;
            }
        }
        Ok(())
    }

    /// Everything in both ledgers, line by line.
    pub fn compare_exports(&self) -> Check {
        let (a, b) = &self.handles[0];
        let ours = lines(&self.a.export(a), &self.names.0);
        let theirs = lines(&self.b.export(b), &self.names.1);
        for (a, b) in ours.iter().zip(&theirs) {
            same(&"export", a, b)?;
        }
        same(&"lines of the export", &ours.len(), &theirs.len())
    }
}
