//! How long one prediction takes: trains on the census records (or on a file of one's own), then
//! scores each record of the last 30 % several times and prints the percentiles.
//!
//! ```text
//! cargo run --release -p oncely-model --example predict_bench [FILE.csv TARGET]
//! ```
//!
//! A record is scored in a group of ten, so that reading the clock does not outweigh the work; the
//! time of a group divided by ten is one measurement. Records one by one are printed as well.

use std::time::Instant;

use oncely_model::{Model, Recipe, Schema, Scorer, Scratch, Table, TrainOptions, evaluate, train};

/// Records scored between two looks at the clock.
const GROUP: usize = 10;
/// Times that every record is scored.
const ROUNDS: usize = 20;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let census = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/census/adult.csv"
    );
    let path = arguments.next().unwrap_or_else(|| census.to_owned());
    let target = arguments
        .next()
        .unwrap_or_else(|| "income-greater-50k".to_owned());
    let table = read(&path)?;
    let rows = table.len();
    let (learn, judge) = table.split_at(rows * 7 / 10);
    let model = trained(&learn, &target)?;
    let begun = Instant::now();
    let evaluation = evaluate(&model, &judge)?;
    println!("evaluated {} rows in {:.2?}", judge.len(), begun.elapsed());
    println!("{:?}", evaluation.metrics);
    measure(&model, &judge)
}

fn read(path: &str) -> Result<Table, Failure> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let header = lines.next().ok_or("the file is empty")?;
    let mut table = Table::new(header.split(',').map(str::to_owned).collect());
    for line in lines {
        table.push(&line.split(',').collect::<Vec<_>>())?;
    }
    Ok(table)
}

fn trained(table: &Table, target: &str) -> Result<Model, Failure> {
    let begun = Instant::now();
    let mut rows = (0..table.len()).map(|row| table.row(row).map(str::to_owned).collect());
    let schema = Schema::infer(table.columns(), &mut rows, target)?;
    let recipe = Recipe::default_for(&schema);
    println!("recipe {:?}", recipe.outputs());
    let model = train(
        "bench",
        &schema,
        &recipe,
        table,
        &TrainOptions::default(),
        &mut |_| {},
    )?;
    println!("trained on {} rows in {:.2?}", table.len(), begun.elapsed());
    println!(
        "{:?}, {} features, {} bytes",
        model.trained(),
        model.features(),
        model.to_bytes().len()
    );
    Ok(model)
}

fn measure(model: &Model, table: &Table) -> Result<(), Failure> {
    let scorer = model.scorer(table.columns())?;
    let records: Vec<Vec<&str>> = (0..table.len())
        .map(|row| table.row(row).collect())
        .collect();
    println!(
        "{} records, {ROUNDS} rounds, groups of {GROUP} and of 1",
        records.len()
    );
    for group in [GROUP, 1] {
        let mut times = times(&scorer, &records, group)?;
        times.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!(
            "one prediction, groups of {group}: p50 {:.3} µs, p90 {:.3} µs, p99 {:.3} µs, max {:.1} µs",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

/// Microseconds for one record, one figure for each group.
fn times(scorer: &Scorer, records: &[Vec<&str>], group: usize) -> Result<Vec<f64>, Failure> {
    let mut scratch = Scratch::default();
    let mut times = Vec::new();
    let mut sum = 0.0;
    for _ in 0..ROUNDS {
        for group in records.chunks_exact(group) {
            let begun = Instant::now();
            for record in group {
                sum += scorer.score(record, &mut scratch)?.score;
            }
            times.push(begun.elapsed().as_nanos() as f64 / 1000.0 / group.len() as f64);
        }
    }
    // The sum is used, so that the compiler cannot leave the work out.
    std::hint::black_box(sum);
    Ok(times)
}
