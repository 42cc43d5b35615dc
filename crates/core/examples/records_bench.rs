//! How fast records are read: `records_bench FILE.csv [TIMES]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::records::{Item, Records, Scratch};
use oncely_core::task::Format;
use std::time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("the path of a CSV file");
    let times: usize = args
        .next()
        .map_or(20, |text| text.parse().expect("a number"));
    let bytes = std::fs::read(&path).expect("the file can be read");
    for name in ["cells", "slices"] {
        let start = Instant::now();
        let mut totals = (0_u64, 0_usize);
        for _ in 0..times {
            let (records, length) = read(&bytes, name == "slices");
            totals.0 += records;
            totals.1 += length;
        }
        let seconds = start.elapsed().as_secs_f64();
        let rate = totals.0 as f64 / seconds / 1e6;
        let megabytes = (bytes.len() * times) as f64 / seconds / 1e6;
        println!(
            "{name}: {} records, {rate:.2} million/s, {megabytes:.0} MB/s ({})",
            totals.0, totals.1
        );
    }
}

fn read(bytes: &[u8], slices: bool) -> (u64, usize) {
    let mut records = Records::new(bytes, Format::Csv, None).expect("a header");
    let (mut count, mut length) = (0, 0);
    let mut scratch = Scratch::default();
    while let Some(item) = records.next().expect("the file can be read") {
        let Item::Record(record) = item else {
            continue;
        };
        count += 1;
        length += if slices {
            scratch.with(record.cells(), |cells| {
                cells.iter().map(|cell| cell.len()).sum()
            })
        } else {
            record.cell(0).map_or(0, str::len)
        };
    }
    (count, length)
}
