//! A `do` block whose items become rows: pure steps, then one `sql` step, compiled to slots.
//!
//! An expression that is a plain path becomes a place in the record or in the outputs of a pure
//! step; only others go through the interpreter.

use super::run::Work;
use crate::begin::{effect_key, with_pin};
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use oncely_core::ids::StepId;
use oncely_core::items::{Cell, Outputs, OwnedCell, RowSink, Transform};
use oncely_core::task::{ActionSpec, Step, Work as StepWork};
use oncely_core::template::{Context, Node, Path, Scope};
use std::sync::Arc;

/// A compiled `do` block.
pub(crate) struct Program {
    pub(crate) block: Block,
    pub(crate) sink: Box<dyn RowSink>,
}

/// The pure part: from a record to the cells of its row.
pub(crate) struct Block {
    columns: Vec<String>,
    transforms: Vec<Pure>,
    slots: Vec<Slot>,
    outer: Outer,
}

/// What expressions read besides the item, owned so that the block can work on its own thread.
struct Outer {
    event: Value,
    run: Value,
    steps: serde_json::Map<String, Value>,
    at: oncely_core::time::Timestamp,
}

struct Pure {
    id: String,
    feed: Feed,
    transform: Box<dyn Transform>,
    outputs: Outputs,
}

/// What a transform reads.
enum Feed {
    /// The record's cells as they are.
    Item,
    /// A table of its own.
    Slots(Vec<Slot>),
}

enum Slot {
    Fixed(OwnedCell),
    Column(usize),
    /// Counted from this number.
    Index(u64),
    Output {
        transform: usize,
        place: usize,
    },
    Evaluated(Node),
}

impl Program {
    /// Compiles a block; none when it is not of this shape.
    pub(crate) fn compile(
        work: &Work<'_>,
        columns: Option<&[String]>,
    ) -> Result<Option<Self>, Failure> {
        let Some(columns) = columns else {
            return Ok(None);
        };
        let Some((last, pure)) = work.each.steps.split_last() else {
            return Ok(None);
        };
        let plain = |s: &Step| s.policy.when.is_none() && s.policy.until.is_none();
        if !work.each.steps.iter().all(plain) {
            return Ok(None);
        }
        let mut block = Block::new(work, columns);
        for step in pure {
            if !block.add_pure(work, step)? {
                return Ok(None);
            }
        }
        let Some(sink) = sink(work, last)? else {
            return Ok(None);
        };
        block.bind(last, sink.columns())?;
        Ok(Some(Self { block, sink }))
    }
}

fn sink(work: &Work<'_>, step: &Step) -> Result<Option<Box<dyn RowSink>>, Failure> {
    let StepWork::Action(spec) = &step.work else {
        return Ok(None);
    };
    let action = work.runner.action(spec.kind).map_err(Failure::permanent)?;
    let id = work.sub_id(step);
    let mut options = spec.fixed.clone();
    if let (Some(table), Some(Node::Table(bind))) =
        (options.as_object_mut(), spec.options.get("bind"))
    {
        let names = bind.iter().map(|(name, _)| (name.clone(), Value::Null));
        table.insert("bind".into(), Value::Object(names.collect()));
    }
    action.rows(&call(work, &id, step, options)).transpose()
}

fn call(work: &Work<'_>, id: &StepId, step: &Step, options: Value) -> Call {
    Call {
        options,
        key: effect_key(work.job, id, None),
        attempt: 1,
        timeout: crate::job::timeout(step),
        first_intent: work.runner.clock.now(),
        site: Arc::new(work.job.site(id, &work.runner.ledger.name())),
        input: Arc::new(Value::Null),
    }
}

impl Block {
    fn new(work: &Work<'_>, columns: &[String]) -> Self {
        let outer = Outer {
            event: work.job.event.clone(),
            run: work.job.run.clone(),
            steps: work.job.state.outputs.clone(),
            at: work.runner.clock.now(),
        };
        Self {
            columns: columns.to_vec(),
            transforms: Vec::new(),
            slots: Vec::new(),
            outer,
        }
    }

    /// Adds a pure step; false when it is not one.
    fn add_pure(&mut self, work: &Work<'_>, step: &Step) -> Result<bool, Failure> {
        let StepWork::Action(spec) = &step.work else {
            return Ok(false);
        };
        let action = work.runner.action(spec.kind).map_err(Failure::permanent)?;
        let options = with_pin(spec.fixed.clone(), &work.job.state.models);
        let (feed, names) = self.feed(spec)?;
        let Some(transform) = action.transform(&options, &names) else {
            return Ok(false);
        };
        let transform = transform?;
        let id = step.id.to_string();
        self.transforms.push(Pure {
            id,
            feed,
            transform,
            outputs: Outputs::default(),
        });
        Ok(true)
    }

    fn feed(&self, spec: &ActionSpec) -> Result<(Feed, Vec<String>), Failure> {
        match spec.options.get("record") {
            Some(Node::Table(entries)) => {
                let slots: Result<Vec<_>, _> =
                    entries.iter().map(|(_, node)| self.slot(node)).collect();
                let names = entries.iter().map(|(name, _)| name.clone()).collect();
                Ok((Feed::Slots(slots?), names))
            }
            _ => Ok((Feed::Item, self.columns.clone())),
        }
    }

    fn bind(&mut self, step: &Step, names: &[String]) -> Result<(), Failure> {
        let StepWork::Action(spec) = &step.work else {
            return Ok(());
        };
        let bind = spec.options.get("bind");
        for name in names {
            let node = bind.and_then(|b| b.get(name)).ok_or_else(|| {
                Failure::permanent(format!("`bind` has no value for the parameter :{name}"))
            })?;
            let slot = self.slot(node)?;
            self.slots.push(slot);
        }
        Ok(())
    }

    fn slot(&self, node: &Node) -> Result<Slot, Failure> {
        let path = match node {
            Node::Any(template) | Node::Text(template) => {
                template.single().and_then(|expr| expr.path())
            }
            _ => None,
        };
        if let Some(slot) = path.map(|path| self.path_slot(path)).transpose()?.flatten() {
            return Ok(slot);
        }
        if node.names().iter().any(|name| self.changes_with_item(name)) {
            return Ok(Slot::Evaluated(node.clone()));
        }
        let value = node.render(&self.outer.context());
        let value = value.map_err(|e| Failure::permanent(e.to_string()))?;
        Ok(Slot::Fixed(owned_cell(value)))
    }

    fn path_slot(&self, path: &Path) -> Result<Option<Slot>, Failure> {
        let fields: Vec<&str> = path.fields.iter().map(String::as_str).collect();
        Ok(match (path.root.as_str(), fields.as_slice()) {
            ("item", [column]) => Some(Slot::Column(self.column(column)?)),
            ("loop", ["index"]) => Some(Slot::Index(1)),
            ("loop", ["index0"]) => Some(Slot::Index(0)),
            ("steps", [id, output]) => self.output(id, output)?,
            _ => None,
        })
    }

    fn column(&self, name: &str) -> Result<usize, Failure> {
        self.columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| {
                Failure::permanent(format!(
                    "the items have no column `{name}`. They have: {}.",
                    self.columns.join(", ")
                ))
            })
    }

    fn output(&self, id: &str, output: &str) -> Result<Option<Slot>, Failure> {
        let Some(transform) = self.transforms.iter().position(|t| t.id == id) else {
            return Ok(None);
        };
        let outputs = self
            .transforms
            .get(transform)
            .map_or(&[][..], |t| t.transform.outputs());
        let place = outputs
            .iter()
            .position(|name| *name == output)
            .ok_or_else(|| Failure::permanent(format!("step `{id}` has no output `{output}`")))?;
        Ok(Some(Slot::Output { transform, place }))
    }

    fn changes_with_item(&self, name: &str) -> bool {
        let mut parts = name.split('.');
        match parts.next() {
            Some("item" | "loop") => true,
            Some("steps") => parts
                .next()
                .is_none_or(|id| self.transforms.iter().any(|t| t.id == id)),
            _ => false,
        }
    }

    /// Computes the cells of an item's row.
    ///
    /// # Errors
    /// Why the item is set aside.
    pub(crate) fn row(
        &mut self,
        cells: Fields<'_>,
        index: u64,
        mut push: impl FnMut(Cell<'_>),
    ) -> Result<(), String> {
        for place in 0..self.transforms.len() {
            self.transform(place, cells, index)?;
        }
        for slot in &self.slots {
            self.with_cell(slot, cells, index, &mut push)?;
        }
        Ok(())
    }

    /// Things met that are tolerated and counted.
    pub(crate) fn unseen(&self) -> u64 {
        self.transforms.iter().map(|t| t.transform.unseen()).sum()
    }

    fn transform(&mut self, place: usize, cells: Fields<'_>, index: u64) -> Result<(), String> {
        let own: Vec<String> = match self.transforms.get(place).map(|t| &t.feed) {
            Some(Feed::Slots(slots)) => self.texts(slots, cells, index)?,
            _ => Vec::new(),
        };
        let Some(pure) = self.transforms.get_mut(place) else {
            return Ok(());
        };
        pure.outputs.clear();
        match pure.feed {
            Feed::Item => pure.transform.apply(cells.texts, &mut pure.outputs),
            Feed::Slots(_) => {
                let own: Vec<&str> = own.iter().map(String::as_str).collect();
                pure.transform.apply(&own, &mut pure.outputs)
            }
        }
    }

    fn texts(&self, slots: &[Slot], cells: Fields<'_>, index: u64) -> Result<Vec<String>, String> {
        let mut texts = Vec::with_capacity(slots.len());
        for slot in slots {
            self.with_cell(slot, cells, index, &mut |cell| texts.push(cell_text(cell)))?;
        }
        Ok(texts)
    }

    fn with_cell(
        &self,
        slot: &Slot,
        cells: Fields<'_>,
        index: u64,
        push: &mut impl FnMut(Cell<'_>),
    ) -> Result<(), String> {
        match slot {
            Slot::Column(place) => push(cells.cell(*place)),
            Slot::Output { transform, place } => {
                let outputs = self.transforms.get(*transform).map(|t| &t.outputs);
                push(outputs.and_then(|o| o.get(*place)).unwrap_or(Cell::Null));
            }
            Slot::Index(first) => {
                push(Cell::Int(
                    i64::try_from(index.saturating_add(*first)).unwrap_or(i64::MAX),
                ));
            }
            Slot::Fixed(cell) => push(borrowed(cell)),
            Slot::Evaluated(node) => {
                let value = self.evaluate(node, cells, index)?;
                push(borrowed(&owned_cell(value)));
            }
        }
        Ok(())
    }

    fn evaluate(&self, node: &Node, cells: Fields<'_>, index: u64) -> Result<Value, String> {
        let item = cells.value(&self.columns);
        let mut steps = self.outer.steps.clone();
        for pure in &self.transforms {
            let outputs = pure
                .transform
                .outputs()
                .iter()
                .enumerate()
                .map(|(place, name)| {
                    let value = pure.outputs.get(place).map_or(Value::Null, cell_value);
                    ((*name).to_owned(), value)
                });
            steps.insert(pure.id.clone(), Value::Object(outputs.collect()));
        }
        let context = self.outer.context().with_item(&item, index + 1, &steps);
        node.render(&context).map_err(|e| e.to_string())
    }
}

impl Outer {
    fn context(&self) -> Context<'_> {
        Context::new(Scope {
            event: &self.event,
            steps: &self.steps,
            run: &self.run,
            at: self.at,
        })
    }
}

/// The cells of an item: as texts, and typed where they come from a database.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) texts: &'a [&'a str],
    pub(crate) typed: Option<&'a [OwnedCell]>,
}

impl<'a> Fields<'a> {
    fn cell(&self, place: usize) -> Cell<'a> {
        match self.typed {
            None => Cell::Text(self.texts.get(place).copied().unwrap_or_default()),
            Some(typed) => typed.get(place).map_or(Cell::Null, borrowed),
        }
    }

    fn value(&self, columns: &[String]) -> Value {
        let fields = columns.iter().enumerate();
        let fields = fields.map(|(place, name)| (name.clone(), cell_value(self.cell(place))));
        Value::Object(fields.collect())
    }
}

fn owned_cell(value: Value) -> OwnedCell {
    match value {
        Value::Null => OwnedCell::Null,
        Value::Bool(yes) => OwnedCell::Int(yes.into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => OwnedCell::Int(int),
            (None, real) => OwnedCell::Real(real.unwrap_or(f64::NAN)),
        },
        Value::String(text) => OwnedCell::Text(text.into()),
        other => OwnedCell::Text(other.to_string().into()),
    }
}

fn borrowed(cell: &OwnedCell) -> Cell<'_> {
    match cell {
        OwnedCell::Null => Cell::Null,
        OwnedCell::Int(value) => Cell::Int(*value),
        OwnedCell::Real(value) => Cell::Real(*value),
        OwnedCell::Text(text) => Cell::Text(text),
    }
}

fn cell_value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(value) => value.into(),
        Cell::Real(value) => value.into(),
        Cell::Text(text) => text.into(),
    }
}

fn cell_text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(text) => text.to_owned(),
    }
}
